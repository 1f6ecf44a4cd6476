"""What Supabase's answers become: the right error, bounded patience, and no foreign exception."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from controlplane.errors import (
    AicdError,
    BrokenPromise,
    CallerError,
    Conflict,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    OutsideError,
)
from controlplane.store import Connection, FunctionsStore, connect, patience
from controlplane.store.calls import clean
from controlplane.store.connection import BadConnection
from controlplane.store.outcomes import parse_retry_after, translate_api_error, translate_storage_error

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJyb2xlIjoiYWljZCJ9.c2lnbmF0dXJl"


@dataclass
class Script:
    """A server that gives these answers in turn, the last one for ever; `None` hangs up without a word."""

    answers: list[tuple[int, dict[str, str], Any] | None]
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""

    def next(self) -> tuple[int, dict[str, str], Any] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(patience, "LONGEST_WAIT_SECONDS", 0.02)
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: tuple[int, dict[str, str], Any] | None) -> Script:
        script = Script(list(answers))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                given = json.loads(body) if self.headers["content-type"] == "application/json" else body
                script.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, given))
                answer = script.next()
                if answer is None:
                    return
                status, headers, document = answer
                content = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for name, value in {
                    "content-type": "application/json",
                    "content-length": str(len(content)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        script.url = f"http://127.0.0.1:{server.server_port}"
        return script

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def store_of(script: Script) -> FunctionsStore:
    return FunctionsStore(
        connect(Connection(url=script.url, publishable_key="sb_publishable_x", token=SecretStr(TOKEN)))
    )


OK = (200, {}, [])
DOWN = (503, {}, {"message": "down"})


def test_verb_is_called_by_name_with_our_token_and_the_publishable_key(serve: Any) -> None:
    script = serve((200, {}, 3))
    assert store_of(script).close_dead_runs(60) == 3
    ((path, headers, body),) = script.requests
    assert (path, body) == ("/rest/v1/rpc/close_dead_runs_v1", {"p_older_than_seconds": 60})
    assert (headers["apikey"], headers["authorization"]) == ("sb_publishable_x", f"Bearer {TOKEN}")


@pytest.mark.parametrize("fault", [DOWN, None, (500, {}, b"<html>"), (502, {}, {}), (429, {}, {}), (504, {}, b"")])
def test_passing_fault_is_waited_out(serve: Any, fault: Any) -> None:
    script = serve(fault, fault, OK)
    assert store_of(script).list_mailboxes() == []
    assert len(script.requests) == 3


@pytest.mark.parametrize("fault", [DOWN, None, (500, {}, b"<html>")])
def test_lasting_fault_is_an_outside_error_after_four_tries(serve: Any, fault: Any) -> None:
    script = serve(fault)
    with pytest.raises(OutsideError) as caught:
        store_of(script).list_mailboxes()
    assert len(script.requests) == 4
    assert caught.value.fix
    assert TOKEN not in f"{caught.value!r}"


def test_retry_after_is_kept(serve: Any) -> None:
    script = serve((429, {"Retry-After": "1"}, {}), OK)
    begun = time.monotonic()
    store_of(script).list_mailboxes()
    assert time.monotonic() - begun >= 1


def test_long_retry_after_is_handed_to_the_caller_at_once(serve: Any) -> None:
    script = serve((503, {"Retry-After": "120"}, {}))
    with pytest.raises(OutsideError) as caught:
        store_of(script).list_mailboxes()
    assert (caught.value.retry_after_seconds, len(script.requests)) == (120, 1)


@pytest.mark.parametrize(
    ("status", "document", "kind", "code"),
    [
        (404, {"code": "PT404", "message": "run-not-found", "details": "No."}, NotFound, "run-not-found"),
        (409, {"code": "PT409", "message": "run-finished", "details": "No."}, Conflict, "run-finished"),
        (401, {"code": "PT401", "message": "token-not-live", "details": "No."}, NotAuthenticated, "token-not-live"),
        (403, {"code": "PT403", "message": "wrong-scope", "details": "No."}, NotAllowed, "wrong-scope"),
        (413, {"code": "PT413", "message": "too-large", "details": "No."}, CallerError, "too-large"),
        (403, {"code": "42501", "message": "permission denied"}, NotAllowed, "not-allowed"),
        (401, {"code": "PGRST303", "message": "JWT expired"}, NotAuthenticated, "token-not-live"),
        (401, {"code": "PGRST301", "message": "no key"}, NotAuthenticated, "token-not-accepted"),
        (409, {"code": "23505", "message": "duplicate key"}, Conflict, "already-there"),
        (404, {"code": "PGRST202", "message": "no function"}, BrokenPromise, "verb-not-understood"),
        (400, {"code": "22P02", "message": "invalid input"}, BrokenPromise, "verb-not-understood"),
        (400, b"<html>nonsense</html>", BrokenPromise, "verb-not-understood"),
    ],
)  # fmt: skip
def test_refusal_becomes_its_error_and_is_not_repeated(
    serve: Any, status: int, document: Any, kind: type[AicdError], code: str
) -> None:
    script = serve((status, {}, document))
    with pytest.raises(AicdError) as caught:
        store_of(script).list_mailboxes()
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert len(script.requests) == 1
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("nonsense", [b"[half a body", b"<html>", b"{}", b"null", b'"text"'])
def test_answer_of_another_kind_is_asked_for_again(serve: Any, nonsense: bytes) -> None:
    script = serve((200, {}, nonsense), OK)
    assert store_of(script).list_mailboxes() == []
    assert len(script.requests) == 2


def test_nothing_found_is_none_and_half_an_answer_is_not(serve: Any) -> None:
    script = serve((200, {}, b'{"mailbox_id'), (200, {}, None))
    assert store_of(script).open_mailbox("a@b.c") is None
    assert len(script.requests) == 2


def test_half_a_text_is_not_taken_for_the_text(serve: Any) -> None:
    script = serve((200, {}, b'"123'), (200, {}, b'"1234"'))
    assert store_of(script).advance_mailbox("m", "1") == "1234"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [("404", "NoSuchKey", NotFound), ("403", "Unauthorized", NotAllowed), ("409", "Duplicate", Conflict),
     ("500", "InternalError", OutsideError), ("429", "x", OutsideError), ("400", "InvalidKey", BrokenPromise),
     ("nonsense", "x", BrokenPromise)],
)  # fmt: skip
def test_storage_refusal_becomes_its_error(status: str, code: str, kind: type[AicdError]) -> None:
    assert type(translate_storage_error("x", status, code)) is kind


def test_foreign_words_in_an_error_are_one_short_line() -> None:
    error = translate_api_error("x", "XX000", "a\nb" * 1000, None, None)
    assert "\n" not in error.message
    assert len(error.message) < 400


def test_both_forms_of_retry_after_are_read() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert parse_retry_after("7") == 7
    assert 55 < (parse_retry_after(in_a_minute) or 0) <= 60
    assert [parse_retry_after(value) for value in (None, "", "soon", "-1", "1.5")] == [None] * 5


def test_nul_and_lone_surrogates_are_cleaned_at_any_depth() -> None:
    assert clean({"a\x00": ["x\x00y", ("\ud800",), 3, None]}) == {"a": ["xy", ["?"], 3, None]}


@pytest.mark.parametrize(("url", "key"), [("", "k"), ("not a url", "k"), ("https://x.example", "")])
def test_connection_that_cannot_work_says_which_setting_to_check(url: str, key: str) -> None:
    with pytest.raises(BadConnection) as caught:
        connect(Connection(url=url, publishable_key=key, token=SecretStr(TOKEN)))
    assert "SUPABASE_URL" in caught.value.fix


def test_token_does_not_show_in_a_connections_repr() -> None:
    assert TOKEN not in repr(Connection(url="https://x.example", publishable_key="k", token=SecretStr(TOKEN)))
