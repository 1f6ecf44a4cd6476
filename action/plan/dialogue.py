"""What was asked about a specification, and what came back. Written by start, read by plan and by the agent's task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.noun import Noun


class Question(Noun):
    """`id` is Q1, Q2 … over all rounds of one specification; nothing is built before a blocking one is answered."""

    id: str
    text: str
    blocking: bool = True


class Answer(Noun):
    """One reply of the requester; it may answer several questions."""

    text: str
    answered_at: str = ""


class Dialogue(Noun):
    """`dialogue.json`: all rounds, oldest first."""

    questions: tuple[Question, ...] = ()
    answers: tuple[Answer, ...] = ()


def read_dialogue(sprint: Mapping[str, Any]) -> Dialogue:
    """From what `start_run_v1` says of a sprint."""
    return Dialogue(
        questions=tuple(
            Question(id=str(asked["id"]), text=str(asked["text"]), blocking=asked.get("blocking") is not False)
            for asked in sprint.get("questions") or ()
        ),
        answers=tuple(
            Answer(text=str(given["text"]), answered_at=str(given.get("answered_at") or ""))
            for given in sprint.get("answers") or ()
        ),
    )
