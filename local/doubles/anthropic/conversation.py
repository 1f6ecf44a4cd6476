"""One request to the Messages API, as a script looks at it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

WORKING_DIRECTORY = re.compile(r"[Ww]orking directory(?::| is) (/[^\s`'\"]+)")


@dataclass(frozen=True)
class Conversation:
    """`document` is the request's body, which has passed the contract."""

    document: dict[str, Any]

    @property
    def turn(self) -> int:
        """How often the model has spoken before: what a list of steps is counted by, also over a resumed session."""
        return sum(message["role"] == "assistant" for message in self.document["messages"])

    @property
    def wants_structure(self) -> dict[str, Any] | None:
        """The JSON schema that the answer has to follow, where one was asked for."""
        wanted = (self.document.get("output_config") or {}).get("format") or {}
        schema: dict[str, Any] | None = wanted.get("schema") if wanted.get("type") == "json_schema" else None
        return schema

    @cached_property
    def system(self) -> str:
        """The system prompt, and what the program put into messages in its place."""
        return _text(self.document.get("system") or "")

    @cached_property
    def words(self) -> str:
        """Every text of the conversation, tool results included: all that a model would have read."""
        return "\n".join([self.system, *(_text(message["content"]) for message in self.document["messages"])])

    @cached_property
    def results(self) -> list[str]:
        """The texts of all tool results, in order."""
        return [
            _text(block.get("content") or "")
            for message in self.document["messages"]
            for block in (message["content"] if isinstance(message["content"], list) else [])
            if block.get("type") == "tool_result"
        ]

    @property
    def tools(self) -> list[str]:
        return [str(tool.get("name", "")) for tool in self.document.get("tools") or []]

    @property
    def folder(self) -> str:
        """The working directory that was named last: a session may go on elsewhere."""
        found = WORKING_DIRECTORY.findall(self.words)
        return str(found[-1]) if found else "."


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_text(block) for block in content)
    return _text(content.get("text") or content.get("content") or "") if isinstance(content, dict) else ""
