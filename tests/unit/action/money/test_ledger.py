"""The ledger: what was spent, what is left, and what the control plane knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from action.money import Ledger, Usage
from action.money.ledgerfile import read_ledger
from controlplane.errors import BrokenPromise, OutsideError

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


def test_cost_that_an_earlier_verb_could_not_tell_is_told_by_the_next_one(tmp_path: Path) -> None:
    records, file = Records(), tmp_path / "ledger.jsonl"
    first = Ledger(RUN, None, records, file)
    first.add("planner", OPUS, MILLION_OUT, "msg_1")
    records.away = True
    entry = first.add("builder", OPUS, MILLION_OUT, "msg_2")
    records.away = False
    records.taken.clear()
    Ledger(RUN, None, records, file).sync()
    assert list(records.taken) == [entry.id], "what was taken is not told again"


def test_entry_of_which_nobody_noted_that_it_was_taken_is_told_again(tmp_path: Path) -> None:
    records, file = Records(), tmp_path / "ledger.jsonl"
    entry = Ledger(RUN, None, records, file).add("builder", OPUS, MILLION_OUT)
    file.write_text(file.read_text().splitlines()[0] + "\n")
    records.taken.clear()
    Ledger(RUN, None, records, file).sync()
    assert list(records.taken) == [entry.id]


def test_what_an_attempt_before_spent_is_spent_although_its_run_folder_is_gone(tmp_path: Path) -> None:
    records, file = Records(), tmp_path / "ledger.jsonl"
    ledger = Ledger(RUN, 50, records, file)
    ledger.add("planner", OPUS, MILLION_OUT)
    ledger.learn_earlier(35.0)
    ledger.learn_earlier(55.0)
    assert ledger.left() == 15
    assert Ledger(RUN, 50, records, file).left() == 15
    assert read_ledger(file).spent_usd == 35


def test_what_is_left_elsewhere_does_not_count_what_is_not_told() -> None:
    records = Records()
    records.away = True
    ledger = Ledger(RUN, None, records)
    ledger.add("builder", OPUS, MILLION_OUT)
    ledger.set_left(50)
    assert ledger.left() == 30


@pytest.mark.parametrize("line", ["[]", "{", '{"id": "x"}', '{"earlier_usd": "NaN"}', '{"earlier_usd": -1}'])
def test_file_that_cannot_be_read_is_never_a_run_that_spent_nothing(tmp_path: Path, line: str) -> None:
    (tmp_path / "ledger.jsonl").write_text(line + "\n")
    with pytest.raises(BrokenPromise):
        read_ledger(tmp_path / "ledger.jsonl")


def test_run_of_which_nobody_counted_a_cost_has_none(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "ledger.jsonl").spent_usd is None
    Ledger(RUN, 50, Records(), tmp_path / "ledger.jsonl").learn_earlier(0.0)
    assert read_ledger(tmp_path / "ledger.jsonl").spent_usd is None


def test_no_limit_anywhere_leaves_no_number() -> None:
    ledger = Ledger(RUN, None)
    ledger.add("planner", OPUS, MILLION_OUT)
    assert ledger.left() is None
    assert not ledger.is_spent()
