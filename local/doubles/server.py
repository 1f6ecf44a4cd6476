"""Runs a double on the loopback interface: binds first, says when it listens, ends on SIGTERM.

Also the bridge from ASGI to plain functions: a body is read here, then the function runs in a worker thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

import anyio
import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.doubles.exchange import Answer, Call
from local.doubles.faults import Fault

M = TypeVar("M", bound=BaseModel)
Control = Callable[[Call, Mapping[str, str]], Any]


class RefusedControlError(Exception):
    """A control call that makes no sense; answered with its status and this message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BrokenBody(Response):
    """Announces the whole body and sends half of it, as a connection that dies in the middle does."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        # No end follows: uvicorn sees the missing bytes and closes the connection.


async def read_call(request: Request) -> Call:
    scope = request.scope
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Call(
        method=request.method,
        path=scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0],
        query=tuple(query),
        headers={key.lower(): value for key, value in request.headers.items()},
        body=await request.body(),
        base_url=f"http://{request.headers.get('host', '127.0.0.1')}",
    )


def json_response(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    body = b"" if document is None else json.dumps(document).encode()
    media_type = None if document is None else "application/json; charset=utf-8"
    return Response(body, status, dict(headers or {}), media_type)


def api_endpoint(answer: Callable[[Call], Answer]) -> Callable[[Request], Awaitable[Response]]:
    """Serves an exchange; plays the injected fault when there is one."""

    async def endpoint(request: Request) -> Response:
        try:
            call = await read_call(request)
        except ClientDisconnect:
            return Response(status_code=400)
        given = await run_in_threadpool(answer, call)
        response = json_response(given.status, given.document, given.headers)
        return response if given.fault is None else await _play(given.fault, response)

    return endpoint


async def _play(fault: Fault, response: Response) -> Response:
    await anyio.sleep(fault.seconds)
    if fault.kind == "garbage":
        return Response(b"<html>upstream says \xff\xfe", 200, media_type="text/html")
    if fault.kind == "truncate":
        return BrokenBody(response.body or b'{"truncated":"here"}', response.status_code, media_type="application/json")
    return response


def control_route(path: str, method: str, handle: Control) -> Route:
    """A route under /_double/. The handler gets the call and its path parameters; it returns JSON or a Response."""

    async def endpoint(request: Request) -> Response:
        call = await read_call(request)
        try:
            result = await run_in_threadpool(handle, call, request.path_params)
        except RefusedControlError as refusal:
            return json_response(refusal.status, {"error": str(refusal)})
        return result if isinstance(result, Response) else json_response(200, result)

    return Route(f"/_double{path}", endpoint, methods=[method])


def parse_control(call: Call) -> dict[str, Any]:
    """The JSON object in a control call's body; an empty body is an empty object."""
    try:
        document = json.loads(call.body or b"{}")
    except ValueError as error:
        raise RefusedControlError(422, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RefusedControlError(422, "the body must be a JSON object")
    return document


def read_order(model: type[M], call: Call) -> M:
    """The control call's body as the model; a misfit is answered with 422 and names its fields."""
    try:
        return model.model_validate(parse_control(call))
    except ValidationError as error:
        raise RefusedControlError(422, str(error)) from error


def bind(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one. Raises OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    listener.listen(256)
    return listener


class _AnnouncingServer(uvicorn.Server):
    """Prints the ready line once requests are really answered."""

    def __init__(self, config: uvicorn.Config, ready: Mapping[str, Any]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(json.dumps({"ready": self._ready}), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Both signals end the server in order; unlike uvicorn's own, none is raised again afterwards."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self.handle_exit)
        yield


def serve(app: Starlette, listener: socket.socket, name: str) -> NoReturn:
    """Serves until SIGTERM or SIGINT, then ends the process; open requests get two seconds to end."""
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", ws="none", timeout_graceful_shutdown=2
    )
    ready = {"double": name, "url": f"http://127.0.0.1:{port}", "port": port}
    _AnnouncingServer(config, ready).run(sockets=[listener])
    # A push may still hang at its endpoint. What matters is in the journal, so nobody waits for it.
    sys.stdout.flush()
    os._exit(0)


def main(name: str, variable: str, port: str, build: Callable[[str], Starlette]) -> int:
    """Binds the port named by an environment variable, builds the app for its URL and serves it."""
    try:
        listener = bind(int(port))
    except (ValueError, OverflowError):
        print(f"{variable}={port!r} is not a port number; use 0 for any free port.", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Port {port} cannot be opened ({error.strerror}); stop its owner or change {variable}.", file=sys.stderr)
        return 4
    serve(build(f"http://127.0.0.1:{listener.getsockname()[1]}"), listener, name)
