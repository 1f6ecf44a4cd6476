"""When a mail's way has come to its end."""

from __future__ import annotations

from typing import Any

import pytest

from local.commands.send import is_built
from local.commands.waiting import describe_waiting
from local.stack.journey import Journey
from local.stack.observation import Observation


def observed(*sprints: tuple[str, str | None], pending: int = 0) -> Observation:
    """A mail whose one spec has sprints of (state, result of its only run; `-` for no run)."""
    shown: list[dict[str, Any]] = [
        {
            "label": f"s{number}",
            "state": state,
            "runs": [] if result == "-" else [{"run_id": str(number), "result": result}],
        }
        for number, (state, result) in enumerate(sprints)
    ]
    spec = {"spec_id": "1", "repo": "o/r", "sprints": shown}
    return Observation.model_validate({"state": "ACCEPTED", "reason": "ok", "specs": [spec], "pending": pending})


@pytest.mark.parametrize(
    ("observation", "settled"),
    [
        (observed(("DONE", "PASSED")), True),
        (observed(("DONE", "PASSED"), pending=1), False),
        (observed(("RUNNING", None)), False),
        (observed(("PLANNED", None)), False),
        (observed(("PLANNED", "-")), False),
        (observed(("DONE", "PASSED"), ("PLANNED", None)), False),
        (observed(("FAILED", "FAILED"), ("PLANNED", "-")), True),
        (observed(("NEEDS_APPROVAL", "-")), True),
        (observed(("DONE", "PASSED"), ("DONE", "PASSED")), True),
    ],
)
def test_observation_is_settled_only_when_nothing_more_happens(observation: Observation, settled: bool) -> None:
    assert observation.is_settled() is settled


def test_refused_mail_is_settled_when_nothing_is_pending() -> None:
    assert Observation.model_validate({"state": "REFUSED", "reason": "dmarc-fail"}).is_settled()


@pytest.mark.parametrize(
    ("observation", "built"),
    [
        (observed(("DONE", "PASSED")), True),
        (observed(("NEEDS_APPROVAL", "-")), False),
        (observed(("NEEDS_INPUT", "-")), False),
        (observed(("DONE", "PASSED"), ("NEEDS_APPROVAL", "-")), False),
        (observed(("FAILED", "FAILED")), False),
        (observed(), False),
    ],
)
def test_mail_is_built_only_when_every_sprint_is_done(observation: Observation, built: bool) -> None:
    assert is_built(Journey(observation)) is built


def test_what_a_sprint_waits_for_is_said_with_its_command() -> None:
    states = ("NEEDS_APPROVAL", "NEEDS_INPUT", "PAUSED", "FAILED", "RUNNING")
    told = describe_waiting({"label": "s", "sprint_id": "7", "state": state} for state in states)
    assert [line.partition("aicd ")[2] for line in told] == [
        "sprint approve 7", "sprint answer 7 --text ANSWER", "sprint retry 7",
    ]  # fmt: skip
