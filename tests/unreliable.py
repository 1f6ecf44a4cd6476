"""A proxy before a real part or a double, which spoils answers as an upstream does on a bad day, in eleven ways."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

KINDS = (
    "refused", "reset", "hang-before-headers", "hang-in-body", "truncated", "garbage", "page",
    "429", "500", "503", "302",
)  # fmt: skip
RETRY_AFTER_SECONDS = 1
# Longer than every patience under test: whoever waits for the end of it has none.
HANG_SECONDS = 30.0
ELSEWHERE = "/elsewhere"
GARBAGE = b"upstream says \xff\xfe"
PAGE = b"<html>Please sign in.</html>"
# The request is carried out, and only its answer is lost.
AFTER_EFFECT = frozenset({"reset", "hang-in-body", "truncated"})


@dataclass(frozen=True)
class Fault:
    """`path` is a pattern of the requests that are spoiled, as "METHOD /path"; the others pass. `after_effect` lets the
    request be carried out first; by default as AFTER_EFFECT says."""

    kind: str
    path: str = ""
    after_effect: bool | None = None

    def fits(self, request: str) -> bool:
        return re.search(self.path, request) is not None

    @property
    def is_carried_out(self) -> bool:
        return self.kind in AFTER_EFFECT if self.after_effect is None else self.after_effect


@dataclass
class Unreliable:
    """A proxy on a port of its own. Without a fault everything passes unchanged."""

    upstream: str
    fault: Fault | None = None
    # When each spoiled request came.
    spoiled: list[float] = field(default_factory=list)
    # What followed a redirection of ours.
    strayed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._listener = self._bind(0)
        self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @contextlib.contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Spoils from now on until the end of the block."""
        self.spoiled.clear()
        self._over.clear()
        self.fault = fault
        if fault.kind == "refused":
            self._stop_listening()
        try:
            yield
        finally:
            self.fault = None
            self._over.set()
            if fault.kind == "refused":
                self._listen()

    def close(self) -> None:
        self._over.set()
        self._listener.close()

    def _bind(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        self._port = listener.getsockname()[1]
        return listener

    def _listen(self) -> None:
        self._listener.listen(128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _stop_listening(self) -> None:
        """The port stays ours, and refuses: it is bound, and nobody listens."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = self._bind(self._port)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, address), daemon=True).start()

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        with connection, contextlib.suppress(OSError):
            _Handler(connection, address, self)  # type: ignore[arg-type]  # it only hands it on


class _Handler(BaseHTTPRequestHandler):
    """One request on one connection: a spoiled one is never the leftover of another."""

    server: Unreliable  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65_537)
        if self.raw_requestline and self.parse_request():
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes) -> None:
        if self.path.startswith(ELSEWHERE):
            self.server.strayed.append(f"{self.command} {self.headers.get('Authorization', '')}")
            self._send(200, {}, PAGE)
            return
        fault = self.server.fault
        if fault is None or not fault.fits(f"{self.command} {self.path}"):
            self._send(*self._forward(body))
            return
        self.server.spoiled.append(time.monotonic())
        given = self._forward(body) if fault.is_carried_out else (200, {}, b'{"half": "of an answer"}')
        self._spoil(fault.kind, given)

    def _spoil(self, kind: str, given: tuple[int, dict[str, str], bytes]) -> None:
        status, headers, body = given
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif kind == "hang-before-headers":
            self.server._over.wait(HANG_SECONDS)
        elif kind == "hang-in-body":
            self._send(status, headers, body, cut=True)
            self.server._over.wait(HANG_SECONDS)
        elif kind == "truncated":
            self._send(status, headers, body, cut=True)
        elif kind == "garbage":
            self._send(200, {"Content-Type": "application/json"}, GARBAGE)
        elif kind == "page":
            self._send(200, {"Content-Type": "text/html"}, PAGE)
        elif kind == "302":
            self._send(302, {"Location": self.server.url + ELSEWHERE}, b"")
        else:
            wish = {"Retry-After": str(RETRY_AFTER_SECONDS)} if kind == "429" else {}
            self._send(int(kind), wish | {"Content-Type": "text/html"}, GARBAGE)

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        """`cut`: the whole length is announced, and half of it is sent."""
        announced = max(len(body), 2) if cut else len(body)
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        length = [] if status == 204 else [f"Content-Length: {announced}"]
        head = "\r\n".join([*lines, *length, "Connection: close", "", ""])
        self.wfile.write(head.encode("latin-1") + (body[: len(body) // 2] if cut else body))
        self.wfile.flush()

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(self.server.upstream)
        upstream = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        skipped = {"connection", "transfer-encoding", "keep-alive", "content-length", "accept-encoding"}
        with contextlib.closing(upstream):
            kept = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
            upstream.request(self.command, self.path, body or None, {**kept, "Content-Length": str(len(body))})
            answer = upstream.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in skipped}
            return answer.status, headers, answer.read()

    def log_message(self, *_: object) -> None:
        """Quiet."""
