"""Splitting an order and joining what came of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from action.verify.checkout import Snapshot
from action.verify.events import RecordedRun
from action.verify.layout import NO_PYTEST_CONFIG
from action.verify.projectfile import read_shards
from action.verify.pytestrun import PytestOrder, PytestRun
from action.verify.sandbox import Outcome
from action.verify.sharding import merge_runs, split_order
from controlplane.evidence import TestCase

MakeSnapshot = Callable[..., Snapshot]


def test_order_has_as_many_shares_as_asked_for_and_modules_there_are(snapshot: MakeSnapshot) -> None:
    tree = snapshot({f"test_{name}.py": "" for name in "abc"})
    order = PytestOrder("base-tests", "base", tree, NO_PYTEST_CONFIG, b"", ())
    assert [one.shard for one in split_order(order, 2)] == [(0, 2), (1, 2)]
    assert len(split_order(order, 9)) == 3
    assert split_order(order, 1) == (order,)


def test_joined_runs_are_as_bad_as_the_worst() -> None:
    good, empty = run(0, "a::test_a", {"m.py": frozenset({1})}), run(5)
    bad = run(1, "b::test_b", {"m.py": frozenset({2})})
    joined = merge_runs([good, empty, bad])
    assert joined.outcome.exit_code == 1
    assert [case.node_id for case in joined.recorded.cases] == ["a::test_a", "b::test_b"]
    assert joined.recorded.executed == {"m.py": {1, 2}}
    assert merge_runs([good, empty]).outcome.exit_code == 0
    assert merge_runs([empty, empty]).outcome.exit_code == 5
    assert merge_runs([good, run(None)]).outcome.exit_code is None


@pytest.mark.parametrize("value", [0, -1, 17, True, "2", 2.0, []])
def test_number_of_shares_that_makes_no_sense_is_one_and_says_so(value: object) -> None:
    number, why = read_shards(value)
    assert number == 1
    assert "tests.shards" in why


def run(exit_code: int | None, node: str = "", executed: dict[str, frozenset[int]] | None = None) -> PytestRun:
    cases = (TestCase(node_id=node, outcome="passed", file=node.partition("::")[0]),) if node else ()
    return PytestRun("base-tests", (), Outcome(exit_code, 1.0), RecordedRun(cases, executed=executed or {}), True)
