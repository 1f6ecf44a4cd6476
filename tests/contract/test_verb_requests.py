"""A verb is called as the official client calls it, and refusals are read as it reads them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from postgrest import APIError

from controlplane.secret import Hidden
from controlplane.store import Connection, connect
from controlplane.store.rest import VerbRefused
from controlplane.tls import authorities_for
from supabase import ClientOptions, create_client

KEY = "sb_publishable_x"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJyb2xlIjoiYWljZCJ9.c2lnbmF0dXJl"
PARAMETERS = {"p_id": "7", "p_text": "größer \x01", "p_message": {"a": [1, 2.5, None, True]}, "p_nothing": None}
# What the official client says of itself, and what belongs to the connection.
ABOUT_ITSELF = {"user-agent", "x-client-info", "host", "connection", "accept-encoding"}


@dataclass
class Recorder:
    """Answers everything with `answer` and keeps what it was asked."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"[]")
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    kept = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.asked.append((self.command, self.path, headers, body))
            status, told, content = kept.answer
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **told}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    yield kept
    server.shutdown()
    server.server_close()


def ours(recorder: Recorder) -> Any:
    return connect(Connection(url=recorder.url, publishable_key=KEY, token=Hidden(TOKEN))).call("do_it_v1", PARAMETERS)


def official(recorder: Recorder) -> Any:
    client = create_client(
        recorder.url,
        KEY,
        ClientOptions(headers={"Authorization": f"Bearer {TOKEN}"}, httpx_client=httpx.Client(trust_env=False)),
    )
    return client.rpc("do_it_v1", PARAMETERS).execute().data


def test_request_is_the_official_clients(recorder: Recorder) -> None:
    ours(recorder)
    official(recorder)
    mine, theirs = [
        (method, path, {name: value for name, value in headers.items() if name not in ABOUT_ITSELF}, body)
        for method, path, headers, body in recorder.asked
    ]
    assert mine == theirs


@pytest.mark.parametrize("content", [b"[]", b"{}", b"7", b'"text"', b"null", b""])
def test_answer_is_what_the_official_client_makes_of_it(recorder: Recorder, content: bytes) -> None:
    recorder.answer = (200, {"content-type": "application/json"}, content)
    assert ours(recorder) == official(recorder)


@pytest.mark.parametrize("content", [b"[half", b'"half', b"<html>", b"\xff\xfe"])
def test_answer_that_is_no_json_is_never_taken_for_a_text(recorder: Recorder, content: bytes) -> None:
    recorder.answer = (200, {"content-type": "application/json"}, content)
    with pytest.raises(ValueError, match=r"codec|JSON|Expecting|Unterminated"):
        ours(recorder)


@pytest.mark.parametrize(
    "content",
    [
        b'{"code": "PT404", "message": "run-not-found", "details": "No.", "hint": "Ask."}',
        b'{"code": "42501", "message": "permission denied for function", "details": null, "hint": null}',
        b'{"code": "23505", "message": "duplicate key", "details": {"a": 1}}',
        b"<html>a proxy</html>",
        b"[1, 2]",
        b"",
    ],
)
def test_refusal_says_what_the_official_client_reads_in_it(recorder: Recorder, content: bytes) -> None:
    recorder.answer = (400, {"content-type": "application/json"}, content)
    with pytest.raises(APIError) as theirs:
        official(recorder)
    with pytest.raises(VerbRefused) as mine:
        ours(recorder)
    assert mine.value.code == theirs.value.code
    if content.startswith(b"{"):
        said = (theirs.value.message, theirs.value.details, theirs.value.hint)
        assert (mine.value.message, mine.value.details, mine.value.hint) == said


def test_no_authority_is_read_for_an_http_address_and_none_is_skipped_for_https() -> None:
    import ssl

    plain = authorities_for("http://127.0.0.1:1")
    assert isinstance(plain, ssl.SSLContext)
    assert (plain.verify_mode, plain.check_hostname, plain.get_ca_certs()) == (ssl.CERT_REQUIRED, True, [])
    real = authorities_for("https://x.supabase.co")
    assert (real.verify_mode, real.check_hostname, len(real.get_ca_certs()) > 50) == (ssl.CERT_REQUIRED, True, True)
    assert authorities_for("HTTPS://gmail.googleapis.com/") is real
