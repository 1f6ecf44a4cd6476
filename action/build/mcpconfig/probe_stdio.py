"""Asking a server that is a program: start it, say `initialize`, list its tools, end it with all it started.

It is code of third parties, so it runs where the agent's program will start it again: in the agent's sandbox, with its
user, home and PATH. What answers here answers there.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from action.build.mcpconfig.servers import McpServer
from action.build.mcpconfig.wire import (
    INITIALIZE,
    INITIALIZED,
    MOST_ANSWER_BYTES,
    MOST_PAGES,
    NoMcp,
    has_tools,
    list_tools,
    parse_message,
    result_of,
    tools_of,
    version_of,
)
from action.verify.sandbox import Cell

# What a program may know of this machine besides its own `env`; no token of ours is among them.
KEPT = ("TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
GRACE_SECONDS = 2.0
# By which the sandbox's launcher says that it could not become the program.
NOT_STARTED = 127


class Silent(Exception):
    """No answer in time."""


def probe_program(
    server: McpServer, cell: Cell, folder: Path, environment: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """(version, tools). It works in `folder`. Raises FileNotFoundError, OSError, NoMcp, Silent."""
    deadline = time.monotonic() + server.timeout_seconds
    env = {name: environment[name] for name in (*KEPT, *PROXIES) if name in environment}
    env |= {name: value.get_secret_value() for name, value in server.env.items()}
    named = str(folder / server.command) if os.sep in server.command else server.command
    program = shutil.which(named, path=env.get("PATH", cell.path))
    if program is None:
        raise FileNotFoundError(server.command)
    with cell.converse([program, *server.args], cwd=folder, environment=env) as process:
        try:
            return _speak(_Line(process, deadline))
        finally:
            _let_end(process)


def _speak(line: _Line) -> tuple[str, tuple[str, ...]]:
    initialized = result_of(line.ask(INITIALIZE))
    line.say(INITIALIZED)
    tools: tuple[str, ...] = ()
    cursor: str | None = None
    for number in range(2, 2 + MOST_PAGES) if has_tools(initialized) else ():
        names, cursor = tools_of(result_of(line.ask(list_tools(number, cursor))))
        tools += names
        if cursor is None:
            break
    return version_of(initialized), tools


class _Line:
    """One message a line, in both directions."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._in, self._out = process.stdin, process.stdout
        self._deadline = deadline
        self._seen = b""
        self._read = 0
        os.set_blocking(self._out.fileno(), False)

    def say(self, message: dict[str, Any]) -> None:
        try:
            self._in.write(json.dumps(message).encode() + b"\n")
            self._in.flush()
        except BrokenPipeError:
            raise self._ended("it ended at once") from None

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to it; what else the server says is passed over."""
        self.say(message)
        while True:
            answer = self._next()
            if answer.get("id") == message["id"] and "method" not in answer:
                return answer

    def _next(self) -> dict[str, Any]:
        while b"\n" not in self._seen:
            self._seen += self._receive()
        line, _, self._seen = self._seen.partition(b"\n")
        if not line.strip():
            return {}
        try:
            return parse_message(line)
        except NoMcp:
            raise NoMcp("it prints something else than MCP to its output") from None

    def _receive(self) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            left = self._deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise Silent
        chunk = os.read(self._out.fileno(), 1 << 16)
        if not chunk:
            raise self._ended("it ended before it answered")
        self._read += len(chunk)
        if self._read > MOST_ANSWER_BYTES:
            raise NoMcp(f"it printed more than {MOST_ANSWER_BYTES} bytes")
        return chunk

    def _ended(self, reason: str) -> Exception:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.wait(GRACE_SECONDS) == NOT_STARTED:
                return PermissionError("the sandbox's user cannot start it")
        return NoMcp(reason)


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """By closing its input, as MCP has it; what does not end by that is killed with the conversation."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
