"""What a mail says about a plan or about open questions, read from the database's description and bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.noun import Noun
from functions._shared.notices.bounds import items, line, mapping, number, texts

MOST_QUESTIONS = 20
MOST_SPRINTS = 20
MOST_STORIES = 20
MOST_LINES = 20
# A sprint that nobody has planned yet has this label (private.planned_sprints).
UNPLANNED = "planning"


class QuestionLine(Noun):
    """`number` is what the requester answers by; it goes on counting from one round to the next."""

    number: int
    text: str
    blocking: bool = True


class StoryLine(Noun):
    want: str
    acceptance: tuple[str, ...] = ()


class SprintLine(Noun):
    """`done` are the criteria as texts, `coverage_min 0.9`."""

    label: str
    goals: tuple[str, ...] = ()
    stories: tuple[StoryLine, ...] = ()
    done: tuple[str, ...] = ()


class PlanFacts(Noun):
    """`waiting` are ids of the sprints that a maintainer may approve."""

    sprints: tuple[SprintLine, ...] = ()
    confidence: float | None = None
    cost_usd: float | None = None
    minutes: float | None = None
    remarks: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def is_planners(self) -> bool:
        """Whether our planner made it: it always says how sure it is. Else the specification brought it."""
        return self.confidence is not None


def read_questions(value: Any) -> tuple[QuestionLine, ...]:
    """The questions of one round, numbered by their ids where these hold a number."""
    asked = [item for item in items(value, MOST_QUESTIONS) if line(item.get("text"), 1)]
    return tuple(
        QuestionLine(
            number=_number_of(item.get("id"), position),
            text=line(item.get("text"), 1_000),
            blocking=item.get("blocking") is not False,
        )
        for position, item in enumerate(asked, start=1)
    )


def read_plan(planning: Any, sprints: Iterable[Mapping[str, Any]]) -> PlanFacts:
    """The plan as the planner made it or the specification brought it, and what waits of the latter's `sprints`."""
    plan = mapping(planning)
    estimate = mapping(plan.get("estimate"))
    return PlanFacts(
        sprints=tuple(_sprint(item) for item in items(plan.get("sprints"), MOST_SPRINTS)),
        confidence=number(plan.get("confidence")),
        cost_usd=number(estimate.get("cost_usd")),
        minutes=number(estimate.get("minutes")),
        remarks=tuple(asked.text for asked in read_questions(plan.get("questions"))),
        waiting=tuple(line(item.get("id"), 64) for item in sprints if item.get("state") == "NEEDS_APPROVAL"),
    )


def _number_of(written: Any, position: int) -> int:
    found = re.fullmatch(r"[Qq]?(\d{1,4})", str(written))
    return int(found[1]) if found else position


def _sprint(item: Mapping[str, Any]) -> SprintLine:
    return SprintLine(
        label=line(item.get("label"), 100),
        goals=tuple(line(goal, 300) for goal in texts(item.get("goals"), MOST_LINES)),
        stories=tuple(_story(story) for story in items(item.get("stories"), MOST_STORIES)),
        done=tuple(
            f"{line(key, 64)} {_value(value)}"
            for key, value in list(mapping(item.get("dod")).items())[:MOST_LINES]
            if value not in (None, [], {})
        ),
    )


def _story(item: Mapping[str, Any]) -> StoryLine:
    acceptance = items(item.get("acceptance"), MOST_LINES)
    return StoryLine(
        want=line(item.get("want") or item.get("id"), 300),
        acceptance=tuple(line(one.get("text"), 300) for one in acceptance),
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else line(value, 100)
