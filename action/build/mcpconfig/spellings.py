"""The spellings of an MCP configuration that occur in the wild, brought to one.

Claude Code and Cursor write `mcpServers` with `type`, VS Code writes `servers`, older files write `transport`, as a
word or as an object with the address inside. What contradicts itself is left as it is, for the validation to name.
"""

from __future__ import annotations

from typing import Any

TOP = ("mcpServers", "servers", "mcp_servers")
TYPES = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "streamablehttp": "http",
    "remote": "http",
    "sse": "sse",
}
KEYS = {
    "serverUrl": "url",
    "httpUrl": "url",
    "environment": "env",
    "healthUrl": "health_url",
    "health-url": "health_url",
    "timeoutSeconds": "timeout_seconds",
    "timeout-seconds": "timeout_seconds",
    "allowedTools": "tools",
}
# Said to other programs; they change nothing here.
IGNORED = frozenset({"description", "disabled", "autoApprove", "alwaysAllow", "timeout", "trust", "gallery", "version"})


class BadEntry(ValueError):
    """Begins with the key at fault. Never leaves this package."""


def normalise(entry: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The entry in our words, and the keys that were ignored. Raises BadEntry."""
    plain: dict[str, Any] = {}
    ignored: list[str] = []
    for key, value in entry.items():
        name = KEYS.get(key, key)
        if name in IGNORED:
            ignored.append(key)
        elif name != "transport":
            if name in plain:
                raise BadEntry(f"{key}: is written twice in two spellings")
            plain[name] = value
    if "transport" in entry:
        _merge_transport(plain, entry["transport"])
    plain["type"] = _type(plain)
    return plain, ignored


def _merge_transport(plain: dict[str, Any], transport: Any) -> None:
    inner: Any = {"type": transport} if isinstance(transport, str) else transport
    if not isinstance(inner, dict):
        raise BadEntry("transport: must be a word such as `http`, or an object")
    for key, value in inner.items():
        name = KEYS.get(str(key), str(key))
        if name in plain and plain[name] != value:
            raise BadEntry(f"transport: says another {name} than the entry itself")
        plain[name] = value


def _type(plain: dict[str, Any]) -> str:
    written = plain.get("type")
    if written is None:
        return "stdio" if plain.get("command") else "http"
    known = TYPES.get(str(written).strip().lower())
    if known is None:
        raise BadEntry("type: must be stdio, http or sse")
    if known != "stdio" and plain.get("command"):
        raise BadEntry(f"command: is a program, but the type says `{written}`; keep one of them")
    return known
