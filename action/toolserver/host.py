"""The loopback door in our process: who has this run's throw-away token may call the tools, and nobody else.

POST /call `{"tool", "arguments"}` → `{"is_error", "text", "data"}`, GET /tools → the table. Whatever the agent sends
costs a bounded amount of memory, threads and time.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

import structlog
from pydantic import ValidationError

from action.loopback import BoundedServer
from action.toolserver.desk import ToolDesk
from action.toolserver.tools import TOOLS, Tool
from controlplane.errors import AicdError

log = structlog.get_logger(__name__)

MOST_REQUEST_BYTES = 64 * 1024
MOST_ANSWER_CHARACTERS = 80_000
MOST_AT_ONCE = 16
SOCKET_SECONDS = 10.0


@dataclass(frozen=True)
class ToolCall:
    """One call, for the record of what the agent used."""

    tool: str
    is_error: bool
    seconds: float


@dataclass
class ToolHost:
    """`redact` is applied to every answer's text; `asked` counts the calls of a run, which may have several hosts, one
    after the other. A context manager: from start to stop it listens on 127.0.0.1."""

    desk: ToolDesk
    redact: Callable[[str], str] = field(default=str)
    asked: Counter[str] = field(default_factory=Counter)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _server: BoundedServer | None = None
    _calls: list[ToolCall] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, once started."""
        assert self._server is not None, "the tool host has not been started"
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """What was called so far, in order."""
        with self._lock:
            return tuple(self._calls)

    def start(self) -> Self:
        """Listen. A second start changes nothing."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", 0), _handler(self))
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="tool-host", daemon=True).start()
        return self

    def stop(self) -> None:
        """No call is taken from here on; one that runs is not waited for."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`{"is_error", "text", "data"}`; a refusal and a fault of ours are answers, too."""
        began = time.monotonic()
        tool = TOOLS.get(name)
        answer = self._answer(tool, arguments) if tool else _refused(f"There is no tool '{name[:100]}'.")
        with self._lock:
            self._calls.append(ToolCall(name[:100], answer["is_error"], round(time.monotonic() - began, 3)))
            del self._calls[:-2_000]
        return answer

    def _answer(self, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.asked[tool.name] += 1
            if self.asked[tool.name] > tool.most_calls:
                return _refused(f"{tool.name} was called {tool.most_calls} times in this run; that is its limit.")
        try:
            given = tool.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors()]
            return _refused(f"{tool.name} cannot take these arguments: {'; '.join(wrong[:10])}")
        try:
            data = dict(tool.answer(self.desk, given))
            text = self.redact(json.dumps(data, ensure_ascii=False, default=str))
        except AicdError as error:
            return _refused(self.redact(str(error)))
        except Exception:
            log.exception("tool crashed", tool=tool.name)
            return _refused(f"{tool.name} met a fault of ours. Go on without it.")
        if len(text) > MOST_ANSWER_CHARACTERS:
            return _refused(f"The answer of {tool.name} has {len(text):,} characters, more than can be handed over.")
        return {"is_error": False, "text": text, "data": json.loads(text)}


def _refused(reason: str) -> dict[str, Any]:
    return {"is_error": True, "text": reason[:8_000], "data": None}


class _Server(BoundedServer):
    most_at_once = MOST_AT_ONCE


def _handler(host: ToolHost) -> type[BaseHTTPRequestHandler]:
    expected = f"Bearer {host.token}".encode()

    class Handler(BaseHTTPRequestHandler):
        timeout = SOCKET_SECONDS
        server_version, sys_version = "aicd", ""

        def do_GET(self) -> None:
            if self._is_ours("/tools"):
                self._send(200, [tool.describe() for tool in TOOLS.values()])

        def do_POST(self) -> None:
            if not self._is_ours("/call"):
                return
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MOST_REQUEST_BYTES:
                self._send(413, _refused(f"A call may have at most {MOST_REQUEST_BYTES} bytes."))
                return
            try:
                body = json.loads(self.rfile.read(int(length)))
                name, arguments = body["tool"], body.get("arguments") or {}
            except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
                self._send(400, _refused("The call is no JSON object with `tool` and `arguments`."))
                return
            if not isinstance(name, str) or not isinstance(arguments, dict):
                self._send(400, _refused("`tool` must be a text and `arguments` an object."))
                return
            self._send(200, host.call(name, arguments))

        def _is_ours(self, path: str) -> bool:
            given = self.headers.get("Authorization", "").encode("utf-8", "replace")
            if not hmac.compare_digest(given, expected):
                self._send(401, _refused("The token is not this run's."))
                return False
            if self.path != path:
                self._send(404, _refused("There is nothing here."))
                return False
            return True

        def _send(self, status: int, body: Any) -> None:
            data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Calls are kept by the host; a line for each on stderr would only be noise."""

    return Handler
