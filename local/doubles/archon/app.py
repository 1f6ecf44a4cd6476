"""Puts the Archon double together: MCP on /mcp, health on both of its services, and the bug of a fresh V1.

The bug, as measured with the real one: the first contact of today's clients is a probe and an `initialize` at once, two
sessions, and a server that has served no session yet deadlocks over them for good. One plain `initialize` before that
keeps it alive. `fragile` plays it: a first message that is no `initialize` ends all answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server import MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.doubles.archon.knowledge import add_knowledge_tools
from local.doubles.archon.state import ArchonState
from local.doubles.archon.work import add_work_tools

MCP_PATH = "/mcp"


@dataclass
class ArchonDouble:
    """The parts that a test may want to look at. `seen` are the JSON-RPC methods in the order they came."""

    app: Starlette
    state: ArchonState
    seen: list[str] = field(default_factory=list)


class _OldServer:
    """What a server of mcp 1.12 does with messages that a client of 2.x sends first."""

    def __init__(self, inner: ASGIApp, seen: list[str], *, fragile: bool) -> None:
        self._inner = inner
        self._seen = seen
        self._fragile = fragile
        self._alive = False
        self._dead = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        is_call = scope["path"].rstrip("/") == MCP_PATH and scope["method"] == "POST"
        body = await Request(scope, receive).body() if is_call else b""
        method = _method(body) if is_call else ""
        if method:
            self._seen.append(method)
        self._alive = self._alive or method == "initialize"
        self._dead = self._dead or (self._fragile and is_call and not self._alive)
        if self._dead:
            await anyio.sleep_forever()
        has_session = any(name == b"mcp-session-id" for name, _ in scope["headers"])
        if is_call and method != "initialize" and not has_session:
            error = {"code": -32600, "message": "Bad Request: Missing session ID"}
            refusal = JSONResponse({"jsonrpc": "2.0", "id": "server-error", "error": error}, 400)
            await refusal(scope, receive, send)
            return
        await self._inner(scope, _again(body, receive) if is_call else receive, send)


def build_archon(*, fragile: bool = False) -> ArchonDouble:
    """An empty Archon. The application must be run with its lifespan."""
    state = ArchonState()
    server = MCPServer("archon-mcp-server")
    add_knowledge_tools(server, state)
    add_work_tools(server, state)
    _add_health(server)
    app = server.streamable_http_app(streamable_http_path=MCP_PATH)
    double = ArchonDouble(app, state)
    app.add_middleware(_OldServer, seen=double.seen, fragile=fragile)
    return double


def _add_health(server: MCPServer) -> None:
    healthy = {"status": "healthy", "service": "archon-backend", "ready": True, "credentials_loaded": True}

    async def backend(_: Request) -> Response:
        return JSONResponse({"success": True, "health": healthy, **healthy})

    for path in ("/health", "/api/health"):
        server.custom_route(path, methods=["GET"])(backend)


def _method(body: bytes) -> str:
    try:
        message: Any = json.loads(body)
    except ValueError:
        return ""
    return str(message.get("method", "")) if isinstance(message, dict) else ""


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, once more, and then whatever follows."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
