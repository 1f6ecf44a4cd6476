"""What a mail's sprints wait for, in words, and the command by which each goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.states import SprintState


def describe_waiting(sprints: Iterable[Mapping[str, Any]]) -> list[str]:
    """`sprints` are rows of list_sprints; one line for each that waits for somebody's doing."""
    return [line for sprint in sprints if (line := _describe(sprint))]


def _describe(sprint: Mapping[str, Any]) -> str:
    name, number = sprint["label"], sprint["sprint_id"]
    if sprint["state"] == SprintState.NEEDS_APPROVAL:
        return f"{name} waits for approval, nothing was built: aicd sprint approve {number}"
    if sprint["state"] == SprintState.NEEDS_INPUT:
        return f"{name} waits for an answer: reply to the mail, or aicd sprint answer {number} --text ANSWER"
    if sprint["state"] == SprintState.PAUSED:
        return f"{name} is paused and goes on by itself; at once with: aicd sprint retry {number}"
    return ""
