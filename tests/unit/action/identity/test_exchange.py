"""From a job's identity to a run's token, against a server that plays GitHub and runner-token, well and badly."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from action.identity.exchange import Exchange, TokenRefused, audience_of
from action.identity.github import IdentityRefused, IdentityService
from controlplane.errors import OutsideError

RUN = "3f2b1c4d-0000-4000-8000-000000000001"
EXPIRES = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
Reply = tuple[int, Any]


@dataclass
class Other:
    """The other side: what it answers to GET (GitHub) and POST (runner-token), and what it was asked."""

    url: str = ""
    identity: Reply = (200, {"value": "an-id-token"})
    token: Reply = field(
        default_factory=lambda: (
            200,
            {"data": {"token": "a-run-token", "expires_at": EXPIRES.isoformat(), "run_id": RUN, "scope": "both"}},
        )
    )
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def exchange(self, run_id: str = RUN, query: str = "?api-version=2.0") -> Exchange:
        service = IdentityService(f"{self.url}/id{query}", SecretStr("request-token"))
        return Exchange(f"{self.url}/exchange", run_id, service, self.secrets.append)


@pytest.fixture
def other() -> Iterator[Other]:
    other = Other()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(other.identity)

        def do_POST(self) -> None:
            self._answer(other.token)

        def _answer(self, reply: Reply) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            other.asked.append((self.command, self.path, self.headers["authorization"], body))
            status, document = reply
            self.send_response(status)
            for name, value in other.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(document if isinstance(document, bytes) else json.dumps(document).encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    other.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield other
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("query", "sign"), [("?api-version=2.0", "&"), ("", "?")])
def test_identity_is_asked_for_our_audience_and_exchanged_for_the_run(other: Other, query: str, sign: str) -> None:
    given = other.exchange(query=query)()
    assert (given.token.get_secret_value(), given.scope, given.expires_at) == ("a-run-token", "both", EXPIRES)
    audience = other.url.replace(":", "%3A").replace("/", "%2F")
    assert other.asked == [
        ("GET", f"/id{query}{sign}audience={audience}", "bearer request-token", b""),
        ("POST", "/exchange", "Bearer an-id-token", json.dumps({"run_id": RUN}, separators=(",", ":")).encode()),
    ]


def test_every_try_has_an_identity_of_its_own(other: Other) -> None:
    exchange = other.exchange()
    exchange(), exchange()
    assert [method for method, *_ in other.asked] == ["GET", "POST"] * 2


def test_both_tokens_are_named_as_secrets_and_shown_nowhere(other: Other) -> None:
    given = other.exchange()()
    assert other.secrets == ["an-id-token", "a-run-token"]
    assert "a-run-token" not in repr(given) + str(given)
    assert "request-token" not in repr(other.exchange())


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://x.example", "https://x.example"),
        ("https://x.example/a/b?c#d", "https://x.example"),
        ("https://x.example:8443/", "https://x.example:8443"),
    ],
)
def test_audience_is_the_origin(url: str, audience: str) -> None:
    assert audience_of(url) == audience


@pytest.mark.parametrize("status", [401, 403])
def test_job_without_the_permission_is_told_which(other: Other, status: int) -> None:
    other.identity = (status, {})
    with pytest.raises(IdentityRefused, match="id-token: write"):
        other.exchange()()


@pytest.mark.parametrize(
    "reply",
    [
        (500, {}),
        (404, {}),
        (302, {}),
        (200, b"<html>"),
        (200, {}),
        (200, []),
        (200, {"value": 7}),
        (200, {"value": ""}),
    ],
    ids=str,
)
def test_github_that_misbehaves_is_asked_again_later(other: Other, reply: Reply) -> None:
    other.identity = reply
    with pytest.raises(OutsideError) as caught:
        other.exchange()()
    assert caught.value.code == "id-token-unavailable"
    assert len(other.asked) == 1


def refusal(code: str) -> Any:
    return {"data": None, "meta": {}, "errors": [{"code": code, "message": "It is not. Fix: do this."}]}


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusal_is_final_and_keeps_its_code_and_fix(other: Other, status: int) -> None:
    other.token = (status, refusal("ref-not-trusted"))
    with pytest.raises(TokenRefused) as caught:
        other.exchange()()
    assert (caught.value.code, str(caught.value)) == ("ref-not-trusted", "It is not. Fix: do this.")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("document", [b"<html>", {}, {"errors": []}, {"errors": [{}]}, {"errors": 7}, []], ids=str)
def test_refusal_by_something_else_is_final_too(other: Other, document: Any) -> None:
    other.token = (404, document)
    with pytest.raises(TokenRefused, match="token-url"):
        other.exchange()()


def test_run_that_is_not_yet_bound_is_waited_for(other: Other) -> None:
    other.token = (403, refusal("run-not-bound"))
    with pytest.raises(OutsideError) as caught:
        other.exchange()()
    assert (caught.value.code, caught.value.retry_after_seconds) == ("run-not-bound", 5.0)


@pytest.mark.parametrize(
    "reply",
    [
        (500, {}), (503, refusal("keys-unavailable")), (429, {}), (200, b"<html>"), (200, {}), (200, {"data": None}),
        (200, {"data": {"token": "t", "run_id": RUN, "scope": "both"}}),
        (200, {"data": {"token": "t", "expires_at": "soon", "run_id": RUN, "scope": "both"}}),
        (200, {"data": {"token": "t-run", "expires_at": EXPIRES.isoformat(), "run_id": RUN[:-1] + "2", "scope": "x"}}),
    ],
    ids=str,
)  # fmt: skip
def test_exchange_that_misbehaves_is_tried_again_later(other: Other, reply: Reply) -> None:
    other.token = reply
    other.headers = {"Retry-After": "7"}
    with pytest.raises(OutsideError) as caught:
        other.exchange()()
    assert caught.value.code == "token-exchange-unavailable"
    assert caught.value.retry_after_seconds == (None if reply[0] == 200 else 7.0)
    assert "t-run" not in str(caught.value)


def test_side_that_is_away_is_tried_again_later() -> None:
    away = "http://127.0.0.1:9"
    service = IdentityService(away, SecretStr("x"))
    with pytest.raises(OutsideError):
        Exchange(away, RUN, service, lambda _: None)()


def test_redirect_never_carries_the_identity_elsewhere(other: Other) -> None:
    other.token = (307, {})
    other.headers = {"Location": f"{other.url}/evil"}
    with pytest.raises(TokenRefused):
        other.exchange()()
    assert [path for _, path, *_ in other.asked if "evil" in path] == []
