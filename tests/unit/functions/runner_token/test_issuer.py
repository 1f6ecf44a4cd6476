"""Fetching the issuer's keys: from a local server that behaves, and from one that does not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from controlplane.errors import OutsideError
from functions._shared.callers import published
from functions.runner_token.issuer import fetch_keys, read_keys

DISCOVERY = "/.well-known/openid-configuration"
Pages = dict[str, Callable[[str], Any]]


def jwk_of(key: rsa.RSAPrivateKey, **changes: Any) -> dict[str, Any]:
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    wanted = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": public["n"], "e": public["e"], **changes}
    return {name: value for name, value in wanted.items() if value is not None}


@pytest.fixture
def serve() -> Iterator[Callable[[Pages], str]]:
    """Serves pages by path, each made from the server's address; an int is a bare status, bytes are sent slowly."""
    servers: list[ThreadingHTTPServer] = []

    def start(pages: Pages) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path, lambda _: 404)(url)
                self.send_response(page if isinstance(page, int) else 200)
                if isinstance(page, int):
                    self.send_header("Location", f"{url}/elsewhere")
                self.end_headers()
                if isinstance(page, bytes):
                    self._drip(page)
                elif not isinstance(page, int):
                    self.wfile.write((page if isinstance(page, str) else json.dumps(page)).encode())

            def _drip(self, page: bytes) -> None:
                try:
                    for byte in page:
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.05)
                except OSError:
                    return

            def log_message(self, *_: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return url

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def good(key: rsa.RSAPrivateKey) -> Pages:
    return {
        DISCOVERY: lambda url: {"issuer": url, "jwks_uri": f"{url}/keys"},
        "/keys": lambda _: {"keys": [jwk_of(key)]},
    }


def test_keys_are_those_that_discovery_leads_to(serve: Callable[[Pages], str], key: rsa.RSAPrivateKey) -> None:
    found = fetch_keys(serve(good(key)))
    assert list(found) == ["k1"]
    assert found["k1"].public_numbers() == key.public_key().public_numbers()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({DISCOVERY: lambda url: {"issuer": url + "/", "jwks_uri": f"{url}/keys"}}, id="other issuer"),
        pytest.param({DISCOVERY: lambda url: {"issuer": url, "jwks_uri": "http://127.0.0.2/keys"}}, id="other host"),
        pytest.param({DISCOVERY: lambda url: {"issuer": url, "jwks_uri": 7}}, id="no address"),
        pytest.param({DISCOVERY: lambda url: {"issuer": url}}, id="no address named"),
        pytest.param({DISCOVERY: lambda _: []}, id="no object"),
        pytest.param({DISCOVERY: lambda _: "<html>"}, id="no JSON"),
        pytest.param({DISCOVERY: lambda _: "[" * 100_000}, id="too deep"),
        pytest.param({DISCOVERY: lambda _: 500}, id="500"),
        pytest.param({DISCOVERY: lambda _: 302}, id="redirect"),
        pytest.param({"/keys": lambda _: 503}, id="keys away"),
        pytest.param({"/keys": lambda _: "x" * (published.LIMIT_BYTES + 1)}, id="too long"),
    ],
)
def test_issuer_that_misbehaves_is_an_outage(serve: Callable[[Pages], str], key: rsa.RSAPrivateKey, bad: Pages) -> None:
    with pytest.raises(OutsideError) as caught:
        fetch_keys(serve(good(key) | bad))
    assert caught.value.code == "keys-unavailable"


def test_answer_that_drips_is_given_up_in_time(serve: Callable[[Pages], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "TIMEOUT_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(OutsideError):
        fetch_keys(serve({DISCOVERY: lambda _: b"{" + b" " * 1000}))
    assert time.monotonic() - began < 2


def test_issuer_that_is_away_is_an_outage() -> None:
    with pytest.raises(OutsideError):
        fetch_keys("http://127.0.0.1:9")


@pytest.mark.parametrize(
    "changes",
    [{"kty": "EC"}, {"use": "enc"}, {"alg": "RS512"}, {"kid": None}, {"kid": 7}, {"kid": ""}, {"n": None}, {"n": "!"},
     {"e": 3}],
    ids=str,
)  # fmt: skip
def test_key_of_another_kind_is_passed_over(key: rsa.RSAPrivateKey, changes: dict[str, Any]) -> None:
    found = read_keys({"keys": [jwk_of(key, **changes), 7, None, jwk_of(key, kid="good", use=None, alg=None)]})
    assert list(found) == ["good"]


def test_short_key_is_passed_over() -> None:
    assert read_keys({"keys": [jwk_of(rsa.generate_private_key(65537, 1024))]}) == {}


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "k1"}])
def test_document_without_keys_has_none(document: dict[str, Any]) -> None:
    assert read_keys(document) == {}
