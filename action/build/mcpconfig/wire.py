"""The three messages of a probe, JSON-RPC as MCP 2025-06-18 has it, and how their answers are read."""

from __future__ import annotations

import json
from typing import Any

PROTOCOL = "2025-06-18"
MOST_ANSWER_BYTES = 4 * 1024 * 1024
MOST_PAGES = 20
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": PROTOCOL,
        "capabilities": {},
        "clientInfo": {"name": "aicd-probe", "version": "1"},
    },
}
INITIALIZED: dict[str, Any] = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class NoMcp(Exception):
    """The other side answered, and not as an MCP server does. Its text is safe to show."""


def list_tools(number: int, cursor: str | None) -> dict[str, Any]:
    """The request for one page of tools."""
    params = {"cursor": cursor} if cursor else {}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": params}


def parse_message(text: str | bytes) -> dict[str, Any]:
    """One JSON-RPC message. Raises NoMcp."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise NoMcp("its answer is no JSON") from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise NoMcp("its answer is no JSON-RPC")
    return message


def result_of(message: dict[str, Any]) -> dict[str, Any]:
    """The result of an answer. Raises NoMcp for an error, with its code alone: its text may hold anything."""
    if "error" in message:
        error = message["error"]
        code = error.get("code") if isinstance(error, dict) else None
        raise NoMcp(f"it answered with error {code if isinstance(code, int) else 'without a code'}")
    result = message.get("result")
    if not isinstance(result, dict):
        raise NoMcp("its answer has no result")
    return result


def version_of(result: dict[str, Any]) -> str:
    """`archon-mcp-server 1.12.2, protocol 2025-06-18`."""
    info = result.get("serverInfo")
    info = info if isinstance(info, dict) else {}
    name = " ".join(str(info.get(key, "")) for key in ("name", "version")).strip()
    return f"{name or 'unnamed'}, protocol {result.get('protocolVersion', 'unknown')}"[:200]


def tools_of(result: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """The names on this page, and where the next one begins."""
    listed = result.get("tools")
    names = [str(tool.get("name", ""))[:100] for tool in listed if isinstance(tool, dict)] if listed else []
    cursor = result.get("nextCursor")
    return tuple(names[:500]), cursor if isinstance(cursor, str) and cursor else None


def has_tools(result: dict[str, Any]) -> bool:
    """Whether the server said in `initialize` that it has any."""
    capabilities = result.get("capabilities")
    return isinstance(capabilities, dict) and "tools" in capabilities
