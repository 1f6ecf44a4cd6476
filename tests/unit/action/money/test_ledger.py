"""The ledger: what was spent, what is left, and what the control plane knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from action.money import Ledger, Usage
from controlplane.errors import OutsideError

RUN = "3f0c1f0e-5d7a-4d4c-9a53-6f4d4a1d9a10"
MILLION_OUT = Usage(output_tokens=1_000_000)  # 20 dollars with Opus 5.5
OPUS = "claude-opus-5-5"


class Records:
    """Takes costs as the control plane does; `away` makes it unreachable."""

    def __init__(self, left_usd: float | None = None) -> None:
        self.taken: dict[str, Mapping[str, Any]] = {}
        self.left_usd = left_usd
        self.away = False

    def record_cost(self, run_id: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.away:
            raise OutsideError("away")
        self.taken[entry["id"]] = entry
        return {"id": entry["id"], "left_usd": self.left_usd}


def test_same_call_told_twice_is_counted_once() -> None:
    records = Records()
    ledger = Ledger(RUN, 100, records)
    ledger.add("builder", OPUS, MILLION_OUT, "msg_1")
    ledger.add("builder", OPUS, MILLION_OUT, "msg_1")
    assert ledger.spent() == 20
    assert len(records.taken) == 1


def test_left_is_the_least_of_both_limits() -> None:
    ledger = Ledger(RUN, 100, Records(left_usd=5))
    assert ledger.left() == 100
    ledger.add("builder", OPUS, MILLION_OUT)
    assert ledger.left() == 5
    ledger.set_left(None)
    assert ledger.left() == 80


def test_cost_that_could_not_be_told_yet_is_not_left() -> None:
    answers = iter([None, {"left_usd": 96}, None])

    class Flapping:
        def record_cost(self, run_id: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
            answer = next(answers)
            if answer is None:
                raise OutsideError("away")
            return answer

    ledger = Ledger(RUN, None, Flapping())
    ledger.add("builder", OPUS, Usage(), cost_usd=4)
    ledger.add("builder", OPUS, Usage(), cost_usd=50)
    assert ledger.left() == 46


def test_money_under_way_is_not_left() -> None:
    ledger = Ledger(RUN, 10)
    with ledger.hold(Decimal(10)):
        assert ledger.is_spent()
    assert ledger.left() == 10


def test_what_an_earlier_verb_spent_is_spent(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    Ledger(RUN, 100, None, file).add("planner", OPUS, MILLION_OUT, "msg_1")
    later = Ledger(RUN, 30, None, file)
    later.add("builder", OPUS, MILLION_OUT, "msg_2")
    assert (later.spent("planner"), later.spent("builder")) == (20, 20)
    assert later.is_spent()


def test_cost_that_the_control_plane_missed_is_told_later_and_insisted_upon() -> None:
    records = Records()
    ledger = Ledger(RUN, None, records)
    records.away = True
    ledger.add("builder", OPUS, MILLION_OUT, "msg_1")
    with pytest.raises(OutsideError, match="1 costs"):
        ledger.sync()
    records.away = False
    ledger.add("builder", OPUS, MILLION_OUT, "msg_2")
    ledger.sync()
    assert [entry["cost_usd"] for entry in records.taken.values()] == [20, 20]


def test_no_limit_anywhere_leaves_no_number() -> None:
    ledger = Ledger(RUN, None)
    ledger.add("planner", OPUS, MILLION_OUT)
    assert ledger.left() is None
    assert not ledger.is_spent()
