"""Reading what the program prints: what is told of it at once, and what stands in the transcript alone."""

from __future__ import annotations

import json
from typing import Any

from action.build.agents.claude.stream import StreamReader


def calls(name: str, **given: Any) -> bytes:
    block = {"type": "tool_use", "name": name, "input": given}
    return json.dumps({"type": "assistant", "message": {"content": [block]}}).encode() + b"\n"


def test_call_of_our_own_tools_is_told_by_our_desk_and_not_twice() -> None:
    written: list[str] = []
    told: list[str] = []
    reader = StreamReader(written.append, told.append)
    reader.feed(calls("mcp__aicd-controlplane__report_progress", message="I test."))
    reader.feed(calls("Bash", command="make test"))
    reader.feed(calls("mcp__notes__look_up", pattern="tax"))
    assert told == ["Bash make test", "mcp__notes__look_up tax"]
    assert len(written) == 3
    assert reader.told.tools["mcp__aicd-controlplane__report_progress"] == 1
