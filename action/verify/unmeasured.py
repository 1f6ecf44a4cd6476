"""Tests that fail only while lines are measured, since that takes memory and time that they look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from action.verify.pytestrun import PytestOrder, PytestRun

# A longer suite is not run a second time, and more tests than these do not fail by being measured.
LONGEST_SECONDS = 300
MOST_TESTS = 20
Runner = Callable[[str, PytestOrder], PytestRun]


def settle(order: PytestOrder, run: PytestRun, again: Runner) -> tuple[PytestRun, str]:
    """The run as it is without measuring, with a note, where that alone made it fail; else the run itself.

    The failed tests are tried alone first, which is quick. Passing alone proves nothing (a test may fail only after
    others), so the whole suite has to pass unmeasured as well.
    """
    failed = run.recorded.ids("failed", "error")
    if order.coverage is None or not 0 < len(failed) <= MOST_TESTS:
        return run, ""
    if run.outcome.exit_code is None or run.outcome.duration_seconds > LONGEST_SECONDS:
        return run, ""
    plain = replace(order, coverage=None)
    nodes = tuple(sorted({node.partition("[")[0] for node in failed}))
    if not _passes(again(f"{order.purpose}-alone", replace(plain, paths=nodes))):
        return run, ""
    whole = again(f"{order.purpose}-unmeasured", plain)
    if not _passes(whole):
        return run, ""
    note = f"{', '.join(sorted(failed)[:5])}: fails only while lines are measured; the run without measuring counts"
    return replace(whole, recorded=replace(whole.recorded, executed=run.recorded.executed)), note


def _passes(run: PytestRun) -> bool:
    return run.outcome.exit_code == 0 and bool(run.recorded.cases) and not run.recorded.ids("failed", "error")
