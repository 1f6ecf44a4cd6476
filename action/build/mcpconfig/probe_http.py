"""Asking a server at an address: one plain `initialize` first, and nothing before it.

The order matters for Archon V1: a fresh one deadlocks for good when a client's first contact is a probe and an
`initialize` at once, which is what today's clients send. After one plain `initialize` it serves them all, so for that
server this probe is the preflight, and no other server minds it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import httpx

from action.build.mcpconfig.servers import McpServer
from action.build.mcpconfig.wire import (
    INITIALIZE,
    INITIALIZED,
    MOST_ANSWER_BYTES,
    MOST_PAGES,
    PROTOCOL,
    NoMcp,
    has_tools,
    list_tools,
    parse_message,
    result_of,
    tools_of,
    version_of,
)

ACCEPT = "application/json, text/event-stream"


class TooLate(Exception):
    """The time for the whole probe is over."""


class Refused(Exception):
    """401 or 403: the credentials are missing or wrong."""


def probe_address(server: McpServer) -> tuple[str, tuple[str, ...]]:
    """(version, tools). Raises httpx.HTTPError, NoMcp, Refused, TooLate."""
    deadline = time.monotonic() + server.timeout_seconds
    headers = {name: value.get_secret_value() for name, value in server.headers.items()}
    # A proxy of the environment is for the internet; a redirect could carry the headers elsewhere.
    trust_env = not _is_local(server.url)
    with httpx.Client(headers=headers, trust_env=trust_env, follow_redirects=False) as client:
        if server.type == "sse":
            return _probe_sse(client, server.url, deadline), ()
        version, tools = _probe_http(client, server.url, deadline)
        if server.health_url:
            _check_health(client, server.health_url, deadline)
        return version, tools


def _probe_http(client: httpx.Client, url: str, deadline: float) -> tuple[str, tuple[str, ...]]:
    answer, session = _post(client, url, INITIALIZE, {}, deadline)
    initialized = result_of(answer)
    follow = {"mcp-protocol-version": str(initialized.get("protocolVersion", PROTOCOL))}
    if session:
        follow["mcp-session-id"] = session
    _post(client, url, INITIALIZED, follow, deadline)
    tools: tuple[str, ...] = ()
    cursor: str | None = None
    for number in range(2, 2 + MOST_PAGES) if has_tools(initialized) else ():
        listed, _ = _post(client, url, list_tools(number, cursor), follow, deadline)
        names, cursor = tools_of(result_of(listed))
        tools += names
        if cursor is None:
            break
    return version_of(initialized), tools


def _post(
    client: httpx.Client, url: str, message: dict[str, Any], headers: dict[str, str], deadline: float
) -> tuple[dict[str, Any], str]:
    """The answer to a message (empty for a notification), and the session's id."""
    sent = {"Accept": ACCEPT, **headers}
    with _patience(client, deadline), client.stream("POST", url, json=message, headers=sent) as response:
        _check_status(response)
        session = response.headers.get("mcp-session-id", "")
        if "id" not in message:
            return {}, session
        return _read_answer(response, message["id"], deadline), session


def _read_answer(response: httpx.Response, number: int, deadline: float) -> dict[str, Any]:
    """From a body of JSON, or from the first event that answers this request."""
    is_stream = response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if time.monotonic() > deadline:
            raise TooLate
        if len(body) > MOST_ANSWER_BYTES:
            raise NoMcp(f"its answer has more than {MOST_ANSWER_BYTES} bytes")
        found = _find_event(body, number) if is_stream else None
        if found is not None:
            return found
    if is_stream:
        raise NoMcp("its stream of events ended without an answer")
    return parse_message(body)


def _find_event(body: bytes, number: int) -> dict[str, Any] | None:
    *events, _ = body.replace(b"\r\n", b"\n").split(b"\n\n")
    for event in events:
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        if any(line.strip() for line in lines):
            message = parse_message(b"\n".join(lines))
            if message.get("id") == number:
                return message
    return None


def _probe_sse(client: httpx.Client, url: str, deadline: float) -> str:
    """The old transport names, in its first event, where to post; that it does is all we ask of it."""
    with (
        _patience(client, deadline),
        client.stream("GET", url, headers={"Accept": "text/event-stream"}) as response,
    ):
        _check_status(response)
        seen = b""
        for chunk in response.iter_bytes():
            seen += chunk
            if b"event: endpoint" in seen or b"event:endpoint" in seen:
                return "HTTP with SSE (deprecated transport)"
            if len(seen) > MOST_ANSWER_BYTES:
                break
            if time.monotonic() > deadline:
                raise TooLate
    raise NoMcp("it names no endpoint to post to")


def _check_health(client: httpx.Client, url: str, deadline: float) -> None:
    with _patience(client, deadline), client.stream("GET", url, headers={"Accept": "application/json"}) as response:
        if response.status_code >= 300:
            raise NoMcp(f"its health address answered with HTTP {response.status_code}")


def _check_status(response: httpx.Response) -> None:
    if response.status_code in (401, 403):
        raise Refused
    if response.status_code >= 300:
        raise NoMcp(f"it answered with HTTP {response.status_code}")


@contextlib.contextmanager
def _patience(client: httpx.Client, deadline: float) -> Iterator[None]:
    """Each wait of the next request is at most what is left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TooLate
    client.timeout = httpx.Timeout(left)
    yield


def _is_local(url: str) -> bool:
    return httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")
