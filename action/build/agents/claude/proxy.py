"""The loopback proxy: it holds the key, counts every call into the ledger, and refuses what the budget cannot pay.

The agent gets `http://127.0.0.1:PORT` and a token that is worth nothing elsewhere and dies with the run. Only the two
calls that Claude Code needs are passed on, to one address, with headers from a closed list.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from action.build.agents.claude.allowance import allow
from action.build.agents.claude.bill import Bill
from action.build.agents.claude.contents import count_hidden_tokens, find_foreign_work
from action.build.agents.claude.key import API, Credential
from action.build.agents.claude.limits import LimitSeen, find_resume_time
from action.loopback import BoundedServer
from action.money import Ledger
from action.money.meter import Meter, error_type, parse_object
from action.money.usage import BYTES_PER_TOKEN
from controlplane.errors import AicdError, CallerError

MOST_REQUEST_BYTES = 40_000_000
MOST_AT_ONCE = 12
CALLS = ("/v1/messages", "/v1/messages/count_tokens")
PASSED_ON = ("accept", "anthropic-beta", "anthropic-version", "content-type", "user-agent", "x-app")
PASSED_BACK = ("content-type", "retry-after", "request-id", "x-should-retry")
# What an SDK would wait for inside a runner; beyond it the run is set aside instead.
LONGEST_WAIT_SECONDS = 60.0
# Idle for so long means dead: the API sends a ping at least each quarter of a minute.
TIMEOUT = httpx.Timeout(600.0, connect=15.0)
# So long may a message that was begun before the agent was stopped take to be counted; longer, and it is cut off.
LONGEST_COUNTING_SECONDS = 10.0
SPENT = "aicd: the budget of this run is spent"
# Each call that is lost is counted at its highest price, so an agent does not go on asking for ever.
MOST_LOST = 3
LOST = f"aicd: {MOST_LOST} calls one after the other brought no answer; they are not asked again"


@dataclass
class Facts:
    """What became of the messages that were asked for, for the judgement of an attempt; the counting of tokens is not
    among them. `statuses` are the API's own answers, in order; `broken`: the last message did not come to its end."""

    calls: int = 0
    refused_for_money: bool = False
    statuses: list[int] = field(default_factory=list)
    limit: LimitSeen | None = None
    unreachable: bool = False
    broken: bool = False


class Proxy:
    """A context manager: from start to stop it listens on 127.0.0.1."""

    def __init__(
        self,
        key: Credential,
        ledger: Ledger,
        upstream: str = API,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.token = f"aicd-run-{secrets.token_urlsafe(24)}"
        self._key = key
        self._ledger = ledger
        self._upstream = upstream.rstrip("/")
        self._clock = clock
        self._facts = Facts()
        self._lock = threading.Lock()
        # Deciding and keeping back the money are one step, else two calls at once would spend it twice.
        self._deciding = threading.Lock()
        self._under_way: set[Bill] = set()
        self._lost = 0
        self.patience_seconds = LONGEST_COUNTING_SECONDS
        self._idle = threading.Condition()
        self._server: _Server | None = None
        local = urlsplit(upstream).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=not local, follow_redirects=False)

    @property
    def address(self) -> str:
        assert self._server is not None, "the proxy has not been started"
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="claude-proxy", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._await_counting()
        self._client.close()

    def _await_counting(self) -> None:
        """What is under way is paid for: let it be counted before anybody asks what was spent, as far as it came."""
        deadline = time.monotonic() + self.patience_seconds
        with self._idle:
            while self._under_way and time.monotonic() < deadline:
                self._idle.wait(deadline - time.monotonic())
            late = tuple(self._under_way)
        for bill in late:
            bill.settle()

    def take_facts(self) -> Facts:
        """What happened since the last time this was asked."""
        with self._lock:
            facts, self._facts = self._facts, Facts()
        return facts

    def is_ours(self, headers: Any) -> bool:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(str(given).encode("utf-8", "replace"), self.token.encode())

    @contextmanager
    def forward(self, path: str, query: str, headers: Any, body: bytes) -> Iterator[Passing | Refusal]:
        """Make the call; what the block reads from it is counted when the block ends."""
        try:
            document = json.loads(body)
            assert isinstance(document, dict)
        except (ValueError, RecursionError, AssertionError):
            yield Refusal(400, "invalid_request_error", "The body is no JSON object.")
            return
        foreign = find_foreign_work(document)
        if foreign:
            yield Refusal(400, "invalid_request_error", f"aicd: {foreign}")
            return
        with ExitStack() as stack:
            allowed = self._allow(stack, document, len(body), counted=path == CALLS[0])
            if isinstance(allowed, Refusal):
                yield allowed
                return
            asked, bill = allowed
            sent = body if asked is document else json.dumps(asked).encode()
            yield stack.enter_context(self._ask(path, query, headers, sent, bill))

    def _allow(
        self, stack: ExitStack, document: dict[str, Any], size: int, *, counted: bool
    ) -> tuple[dict[str, Any], Bill] | Refusal:
        """The question as it may be asked, and its bill, which is settled when the stack is left."""
        if counted and self._lost >= MOST_LOST:
            with self._lock:
                self._facts.unreachable = True
            return Refusal(502, "api_error", LOST)
        size += BYTES_PER_TOKEN * count_hidden_tokens(document)
        with self._deciding:
            allowance = allow(document, size, self._ledger.left() if counted else None, self._ledger.table)
            if allowance is None:
                with self._lock:
                    self._facts.refused_for_money = True
                return Refusal(400, "invalid_request_error", SPENT)
            if counted:
                stack.enter_context(self._ledger.hold(allowance.most_usd))
        model, fast = str(document.get("model", "")), document.get("speed") == "fast"
        bill = Bill(self._ledger, model, size, allowance.tokens, fast, is_free=not counted)
        stack.enter_context(self._counting(bill))
        return allowance.document, bill

    @contextmanager
    def _counting(self, bill: Bill) -> Iterator[None]:
        with self._idle:
            self._under_way.add(bill)
        try:
            yield
        finally:
            bill.settle()
            if not bill.is_free:
                with self._lock:
                    self._lost = self._lost + 1 if bill.is_lost else 0
            with self._idle:
                self._under_way.discard(bill)
                self._idle.notify_all()

    @contextmanager
    def _ask(self, path: str, query: str, headers: Any, body: bytes, bill: Bill) -> Iterator[Passing | Refusal]:
        sent = {name: headers[name] for name in PASSED_ON if headers.get(name)}
        sent |= {"accept-encoding": "identity"}
        url = f"{self._upstream}{path}" + (f"?{query}" if query else "")
        try:
            response = self._send(url, sent, body, bill)
        except AicdError as error:
            yield self._unproven(error, counted=not bill.is_free)
            return
        except httpx.HTTPError as error:
            bill.break_off(error)
            with self._lock:
                self._facts.unreachable = self._facts.unreachable or not bill.is_free
            yield Refusal(502, "api_error", "The Claude API cannot be reached from this runner.")
            return
        try:
            yield self._passing(response, bill)
        finally:
            response.close()
            bill.meter.close()
            if not bill.is_free:
                with self._lock:
                    self._facts.broken = response.status_code < 400 and not bill.meter.complete

    def _send(self, url: str, sent: dict[str, str], body: bytes, bill: Bill) -> httpx.Response:
        """Once more where what proved us has ended and there is something newer."""
        for is_last in (False, True):
            proof = self._key.headers(sent.get("anthropic-beta", ""))
            request = self._client.build_request("POST", url, headers={**sent, **proof}, content=body)
            bill.send()
            response = self._client.send(request, stream=True)
            if is_last or response.status_code != 401 or not self._key.renew(proof):
                break
            response.close()
            bill.refuse()
        return response

    def _unproven(self, error: AicdError, *, counted: bool) -> Refusal:
        """Nothing proves us any more: refused for good, or for as long as the exchange does not answer."""
        is_final = isinstance(error, CallerError)
        if counted:
            with self._lock:
                self._facts.unreachable = not is_final
                self._facts.statuses += [401] if is_final else []
        kind = "authentication_error" if is_final else "api_error"
        return Refusal(401 if is_final else 502, kind, f"aicd: {error.message}")

    def _passing(self, response: httpx.Response, bill: Bill) -> Passing:
        error = _read_error(response)
        told = error_type(parse_object(error))
        streamed = "text/event-stream" in response.headers.get("content-type", "")
        bill.answer(response.status_code, told, Meter(streamed=streamed))
        seen = None
        if response.status_code in (429, 529):
            seen = find_resume_time(response.status_code, response.headers, error, self._clock())
        if not bill.is_free:
            self._note(response.status_code, seen)
        waits_long = seen and (seen.resume_at - self._clock()).total_seconds() > LONGEST_WAIT_SECONDS and seen.is_told
        hopeless = bool(waits_long) or response.status_code in (401, 403)
        return Passing(response, bill.meter, error, hopeless=hopeless)

    def _note(self, status: int, seen: LimitSeen | None) -> None:
        with self._lock:
            self._facts.calls += 1
            self._facts.unreachable = False
            self._facts.statuses.append(status)
            if seen is not None or status < 400:
                self._facts.limit = seen


@dataclass
class Passing:
    """An answer on its way back. `hopeless`: asking again would only wait, so the agent is told not to."""

    response: httpx.Response
    meter: Meter
    error: bytes
    hopeless: bool

    def headers(self) -> dict[str, str]:
        names = [name for name in self.response.headers if name in PASSED_BACK or name.startswith("anthropic-")]
        back = {name: self.response.headers[name] for name in names}
        return {**back, "x-should-retry": "false"} if self.hopeless else back

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes; a connection that breaks ends it early, as it ended for us."""
        if self.response.status_code >= 400:
            yield self.error
            return
        try:
            for piece in self.response.iter_raw():
                self.meter.feed(piece)
                yield piece
        except httpx.HTTPError:
            return


@dataclass(frozen=True)
class Refusal:
    """Our own no, in the API's shape."""

    status: int
    kind: str
    message: str

    def body(self) -> bytes:
        return json.dumps({"type": "error", "error": {"type": self.kind, "message": self.message}}).encode()


def _read_error(response: httpx.Response) -> bytes:
    """The body of an answer that is a no, as far as it comes; empty of any other."""
    if response.status_code < 400:
        return b""
    try:
        return response.read()[:100_000]
    except httpx.HTTPError:
        return b""


class _Server(BoundedServer):
    most_at_once = MOST_AT_ONCE


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 60.0
        server_version, sys_version = "aicd", ""

        def do_HEAD(self) -> None:
            self._head(200 if self.path.startswith("/api/hello") else 404, {"content-length": "0"})

        def do_GET(self) -> None:
            self.do_HEAD()

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            length = self.headers.get("content-length", "")
            if not proxy.is_ours(self.headers):
                self._refuse(Refusal(401, "authentication_error", "The token is not this run's."))
            elif parts.path not in CALLS:
                self._refuse(Refusal(404, "not_found_error", "Only messages are passed on."))
            elif not length.isdecimal() or int(length) > MOST_REQUEST_BYTES:
                self._refuse(Refusal(413, "request_too_large", "The request is too large."))
            else:
                body = self.rfile.read(int(length))
                with proxy.forward(parts.path, parts.query, self.headers, body) as passing:
                    self._refuse(passing) if isinstance(passing, Refusal) else self._pass_back(passing)

        def _pass_back(self, passing: Passing) -> None:
            pieces = passing.pieces()
            try:
                self._head(passing.response.status_code, passing.headers())
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                # Nobody listens any more, but it is paid for: read on until it is known what it is that was begun. A
                # stream says so at its begin, a document at its end.
                self.close_connection = True
                while not passing.meter.message and next(pieces, None) is not None:
                    pass

        def _refuse(self, refusal: Refusal) -> None:
            self._head(refusal.status, {"content-type": "application/json", "x-should-retry": "false"})
            self.wfile.write(refusal.body())

        def _head(self, status: int, headers: dict[str, str]) -> None:
            """No length is told: the end of the connection is the end of the body, also of one that broke off."""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """What passed is in the ledger; a line for each on stderr would only be noise."""

    return Handler
