"""Reading stream-json as it comes: what happened, told in short, and the facts by which the attempt is judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from action.build.mcpconfig.servers import OWN_NAME

MOST_LINE_BYTES = 16_000_000
MOST_SAID = 2_000
MOST_TRANSCRIPT = 4_000_000
SHORT = 160
OWN_TOOLS = f"mcp__{OWN_NAME}__"


@dataclass
class Told:
    """`opening` is the init line, `result` the last line; both are empty objects until they came."""

    opening: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    tools: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)
    retries: int = 0
    unreadable: int = 0


class StreamReader:
    """`write` takes lines of the transcript, `tell` short sentences about what goes on; `shorten` makes those of paths
    inside the repository."""

    def __init__(
        self, write: Callable[[str], None], tell: Callable[[str], None], shorten: Callable[[str], str] = str
    ) -> None:
        self._shorten = shorten
        self.told = Told()
        self._write = write
        self._tell = tell
        self._rest = b""
        self._skipping = False
        self._left = MOST_TRANSCRIPT

    def feed(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
                continue
            self._line(line)
        if len(rest) > MOST_LINE_BYTES:
            self._skipping, rest = True, b""
            self.told.unreadable += 1
        self._rest = rest

    def close(self) -> None:
        """The last line may have no end."""
        self._line(self._rest)
        self._rest = b""

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            self.told.unreadable += 1
            self._note(f"? {line[:MOST_SAID].decode('utf-8', 'replace')}")
            return
        handle = {
            "system": self._system,
            "assistant": self._assistant,
            "user": self._user,
            "result": self._result,
        }.get(str(event.get("type")))
        if handle is not None:
            handle(event)

    def _system(self, event: dict[str, Any]) -> None:
        if event.get("subtype") == "init":
            self.told.opening = event
            servers = ", ".join(f"{one['name']}: {one['status']}" for one in servers_of(event)) or "none"
            version = event.get("claude_code_version", "?")
            self._note(f"Claude Code {version}, model {event.get('model', '?')}, MCP servers: {servers}")
        elif event.get("subtype") == "api_retry":
            self.told.retries += 1
            self._note(f"retry {event.get('attempt')} after {event.get('error_status')} {event.get('error', '')}")

    def _assistant(self, event: dict[str, Any]) -> None:
        for block in _blocks(event):
            if block.get("type") == "text" and str(block.get("text", "")).strip():
                said = str(block["text"]).strip()
                self._note(f"says: {said}")
                self._tell(_one_line(self._shorten(said)))
            elif block.get("type") == "tool_use":
                self._call(str(block.get("name", "?")), block.get("input"))

    def _call(self, name: str, given: Any) -> None:
        arguments = given if isinstance(given, dict) else {}
        self.told.tools[name[:100]] += 1
        path = arguments.get("file_path") or arguments.get("notebook_path")
        if name in ("Write", "Edit", "NotebookEdit") and isinstance(path, str) and path not in self.told.files[:500]:
            self.told.files.append(path[:500])
        self._note(f"calls {name}: {json.dumps(arguments, ensure_ascii=False)}")
        if name.startswith(OWN_TOOLS):
            return  # our desk tells of it itself
        what = path or arguments.get("command") or arguments.get("pattern") or arguments.get("message") or ""
        self._tell(_one_line(self._shorten(f"{name} {what}")))

    def _user(self, event: dict[str, Any]) -> None:
        for block in _blocks(event):
            if block.get("type") == "tool_result":
                sign = "failed" if block.get("is_error") else "got"
                self._note(f"{sign}: {_text(block.get('content'))}")

    def _result(self, event: dict[str, Any]) -> None:
        self.told.result = event
        cost, turns = event.get("total_cost_usd"), event.get("num_turns")
        self._note(
            f"ends: {event.get('terminal_reason') or event.get('subtype')}, {turns} turns, {cost} US$ by its count"
        )

    def _note(self, line: str) -> None:
        text = line if len(line) <= MOST_SAID else line[:MOST_SAID] + " …"
        if self._left > 0:
            self._left -= len(text)
            self._write(text if self._left > 0 else "(the transcript is cut here)")


def servers_of(opening: dict[str, Any]) -> list[dict[str, str]]:
    """The init line's MCP servers, as far as they can be read."""
    found = opening.get("mcp_servers")
    listed = found if isinstance(found, list) else []
    return [
        {"name": str(one.get("name", "")), "status": str(one.get("status", ""))}
        for one in listed
        if isinstance(one, dict)
    ]


def _blocks(event: dict[str, Any]) -> list[dict[str, Any]]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_text(one.get("text", "")) for one in content if isinstance(one, dict))
    return ""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"
