"""What a request costs beyond its own bytes: contents that are larger than they look, and work done at the API.

A page fetched by the API, a search, or somebody's MCP server puts tokens into the bill that nobody could have counted
before the call. Claude Code needs none of them here, so they are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# An image is scaled down before it is read; this is above the most that any model takes for one.
IMAGE_TOKENS = 5_000
# A PDF is read as text and as pictures of at most a hundred pages, and a small file may hold them all.
PDF_TOKENS = 300_000
OWN_TOOLS = (None, "custom")
HIDDEN_TOKENS = {"image": IMAGE_TOKENS, "document": PDF_TOKENS}


def find_foreign_work(document: dict[str, Any]) -> str:
    """What the request wants done at the API, in words; empty for a request that carries all it needs."""
    for name in ("mcp_servers", "container"):
        if document.get(name):
            return f"`{name}` is not passed on."
    for tool in _list(document.get("tools")):
        if not isinstance(tool, dict) or tool.get("type") not in OWN_TOOLS:
            return "Tools that run at the API are not passed on."
    for source in (_source(block) for block in _blocks(document)):
        if source.get("type") not in (None, "base64", "text", "content"):
            return "Contents that the API would have to fetch are not passed on."
    return ""


def count_hidden_tokens(document: dict[str, Any]) -> int:
    """What images and PDFs may cost beyond their bytes."""
    packed = (block for block in _blocks(document) if _source(block).get("type") == "base64")
    return sum(HIDDEN_TOKENS.get(str(block.get("type")), PDF_TOKENS) for block in packed)


def _blocks(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every content block of messages and system, also those in tool results and in documents made of blocks; never
    the input of a tool, which is the model's own words."""
    waiting = [message.get("content") for message in _list(document.get("messages")) if isinstance(message, dict)]
    waiting.append(document.get("system"))
    while waiting:
        for block in _list(waiting.pop()):
            if isinstance(block, dict):
                yield block
                waiting += [block.get("content"), _source(block).get("content")]


def _source(block: dict[str, Any]) -> dict[str, Any]:
    source = block.get("source")
    return source if isinstance(source, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
