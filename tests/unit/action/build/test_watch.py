"""Watching the budget and telling what goes on: at most so often, and never in the way of the work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from action.build.agents.seam import Attempt, Task
from action.build.telling import Teller
from action.build.watch import Billed, BudgetWatch
from action.money import Ledger, Usage
from action.pace import Pace
from controlplane.errors import OutsideError

RUN_ID = "3f0c1f0e-5d7a-4d4c-9a53-6f4d4a1d9a10"
OPEN = {"left_usd": 3.0, "run_open": True, "spec_cancelled": False}


class Records:
    """Says the prepared answers one after the other, then the last one for ever; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked = 0

    def read_budget(self, _run_id: str) -> Any:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answer", "stop"),
    [
        (OPEN, ""),
        ({**OPEN, "left_usd": None}, ""),
        ({**OPEN, "left_usd": 0.0}, "out-of-money"),
        ({**OPEN, "spec_cancelled": True}, "cancelled"),
        ({**OPEN, "run_open": False}, "cancelled"),
    ],
    ids=["open", "no-limit", "nothing-left", "cancelled", "run-over"],
)
def test_answer_before_an_attempt_is_the_control_planes(answer: dict[str, Any], stop: str) -> None:
    assert BudgetWatch(Records(answer), RUN_ID, Ledger(RUN_ID, 10.0)).ask() == stop


def test_without_a_control_plane_the_runs_own_limit_holds() -> None:
    assert BudgetWatch(None, RUN_ID, Ledger(RUN_ID, 10.0)).ask() == ""
    assert BudgetWatch(None, RUN_ID, Ledger(RUN_ID, 0.0)).ask() == "out-of-money"


def test_control_plane_that_does_not_answer_lets_no_attempt_begin() -> None:
    with pytest.raises(OutsideError):
        BudgetWatch(Records(OutsideError("away")), RUN_ID, Ledger(RUN_ID, 10.0)).ask()


def test_cancel_while_the_agent_works_is_noticed_also_after_a_bad_moment() -> None:
    records = Records(OPEN, OutsideError("away"), {**OPEN, "spec_cancelled": True})
    with BudgetWatch(records, RUN_ID, Ledger(RUN_ID, 10.0), between_seconds=0.01) as watch:
        deadline = time.monotonic() + 5
        while not watch.watch() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert watch.watch() == "cancelled"


def test_last_cost_is_told_at_the_end_also_after_an_error() -> None:
    told: list[str] = []

    class Costs:
        away = True

        def record_cost(self, _run_id: str, entry: Any) -> Any:
            if self.away:
                raise OutsideError("away")
            told.append(entry["id"])
            return {"left_usd": None}

    costs = Costs()
    ledger = Ledger(RUN_ID, 10.0, costs)
    with pytest.raises(ZeroDivisionError), BudgetWatch(Records(OPEN), RUN_ID, ledger):
        entry = ledger.add("builder", "m", Usage(), cost_usd=1.0)
        costs.away = False
        raise ZeroDivisionError
    assert told == [entry.id]


def test_end_of_the_watch_never_hides_what_was_built() -> None:
    class Away:
        def record_cost(self, _run_id: str, entry: Any) -> Any:
            raise OutsideError("away")

    ledger = Ledger(RUN_ID, 10.0, Away())
    with BudgetWatch(Records(OPEN), RUN_ID, ledger):
        ledger.add("builder", "m", Usage(), cost_usd=1.0)
    with pytest.raises(OutsideError):
        ledger.sync()


def test_what_an_earlier_attempt_of_the_run_spent_counts_against_its_limit() -> None:
    watch = BudgetWatch(Records({**OPEN, "left_usd": None, "spent_usd": 10.5}), RUN_ID, Ledger(RUN_ID, 10.0))
    assert watch.ask() == "out-of-money"


class Claims:
    name, repeats = "command", True

    def work(self, task: Task) -> Attempt:
        return Attempt(ending="done", cost_usd=4.0, input_tokens=10, output_tokens=5, model="m")


def test_what_an_agent_says_it_cost_counts_against_the_budget(tmp_path: Path) -> None:
    ledger = Ledger(RUN_ID, 10.0)
    agent = Billed(Claims(), ledger)
    for iteration in (1, 2, 3):
        agent.work(Task("", "", iteration, tmp_path, tmp_path, tmp_path / "log", 1.0))
    assert (agent.name, agent.repeats) == ("command", True)
    assert ledger.is_spent()
    assert ledger.entries()[0].input_tokens == 10


def test_agent_that_works_again_in_the_same_run_is_paid_again(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    class Costs:
        def record_cost(self, _run_id: str, entry: Any) -> Any:
            told.setdefault(entry["id"], entry)
            return {"left_usd": None}

    for _attempt_of_the_ci_run in (1, 2):
        Billed(Claims(), Ledger(RUN_ID, 10.0, Costs())).work(Task("", "", 1, tmp_path, tmp_path, tmp_path / "log", 1.0))
    assert len(told) == 2


def test_newest_sentence_is_told_and_only_so_often() -> None:
    told: list[str] = []
    with Teller(told.append, Pace(0.05)) as teller:
        for number in range(200):
            teller.hear(f"step {number}")
            time.sleep(0.001)
    assert told[-1] == "step 199"
    assert len(told) < 20


def test_slow_listener_does_not_stop_the_reading() -> None:
    with Teller(lambda _: time.sleep(0.2), Pace(0.01)) as teller:
        began = time.monotonic()
        for number in range(100):
            teller.hear(f"step {number}")
        assert time.monotonic() - began < 0.2


def test_agent_and_those_who_watch_it_share_one_pace() -> None:
    """What an agent reports itself and what is seen of it are one story, told once a turn."""
    told: list[str] = []
    pace = Pace(0.1)
    began = time.monotonic()
    with Teller(told.append, pace) as teller:
        for number in range(300):
            teller.hear(f"seen {number}")
            if pace.take():
                told.append(f"said {number}")
            time.sleep(0.002)
    assert 3 < len(told) <= (time.monotonic() - began) / 0.1 + 1
    assert {sentence.split()[0] for sentence in told} == {"seen", "said"}
    assert told[-1] == "seen 299"
