"""Runs the tests against each mutant of the sample, and writes down which of them a test noticed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from action.verify.checkout import Snapshot
from action.verify.mutation.operators import Mutant
from action.verify.mutation.sample import Sample
from action.verify.pytestrun import PytestOrder, PytestRun
from controlplane.evidence import Mutation

BUDGET_SECONDS = 600.0
# Fewer than these say little, unless there were no more.
LEAST_JUDGED = 10
SHORTEST_TIMEOUT_SECONDS = 10.0
SURVIVORS_NAMED = 100
Fate = Literal["killed", "survived", "not covered", "not run"]
Runner = Callable[[str, PytestOrder, float], PytestRun]


@dataclass(frozen=True)
class Judged:
    """What became of one mutant. `by` is the first test that noticed it, or how else it was noticed."""

    mutant: Mutant
    fate: Fate
    by: str = ""


@dataclass(frozen=True)
class Tests:
    """The unmutated runs: each order with what came of it."""

    __test__ = False

    runs: tuple[tuple[PytestOrder, PytestRun], ...]

    def problem(self) -> str:
        """Why no mutant can be judged by these tests; empty where they can."""
        if not self.runs:
            return "there are no tests that could notice anything"
        if any(run.outcome.exit_code != 0 for _, run in self.runs):
            return "the tests do not pass without any mutant, so a failure would say nothing"
        return ""

    def executes(self, mutant: Mutant) -> bool:
        wanted = range(mutant.first, mutant.last + 1)
        return any(not run.recorded.executed.get(mutant.path, frozenset()).isdisjoint(wanted) for _, run in self.runs)

    def timeout_seconds(self, run: PytestRun) -> float:
        """A mutant may loop for ever; several times the plain run's time says that it does."""
        return max(SHORTEST_TIMEOUT_SECONDS, 4 * run.outcome.duration_seconds)


def run_mutants(
    sample: Sample, head: Snapshot, tests: Tests, runner: Runner, report: Path, *, workers: int, seconds: float
) -> Mutation:
    """Judge the sample within `seconds`, and write `report`.

    Deterministic but for mutants that the time does not reach; where those are many, nothing was measured.
    """
    if not sample.mutants:
        return Mutation(seed=sample.seed)
    problem = tests.problem()
    if problem:
        return Mutation(seed=sample.seed, possible=sample.possible, reason=problem)
    judged = _judge_all(sample.mutants, head, tests, runner, workers, seconds)
    found = _account(sample, judged).model_copy(update={"report": str(report)})
    _write_report(found, head.commit, judged, report)
    return found


def _judge_all(
    mutants: Sequence[Mutant], head: Snapshot, tests: Tests, runner: Runner, workers: int, seconds: float
) -> tuple[Judged, ...]:
    deadline = time.monotonic() + seconds

    def judge(number: int) -> Judged:
        mutant = mutants[number]
        if not tests.executes(mutant):
            return Judged(mutant, "not covered")
        if time.monotonic() >= deadline:
            return Judged(mutant, "not run")
        return _judge(f"mutant-{number}", mutant, head, tests, runner)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return tuple(pool.map(judge, range(len(mutants))))


def _judge(name: str, mutant: Mutant, head: Snapshot, tests: Tests, runner: Runner) -> Judged:
    data = mutant.put_into(head.text(mutant.path)).encode()
    for number, (order, plain) in enumerate(tests.runs):
        contents = {**order.snapshot.contents, mutant.path: data}
        snapshot = Snapshot(order.snapshot.commit, order.snapshot.entries, contents)
        changed = replace(order, purpose="mutant", snapshot=snapshot, coverage=None)
        run = runner(f"{name}-{number}", changed, tests.timeout_seconds(plain))
        if run.outcome.exit_code != 0:
            return Judged(mutant, "killed", _noticed_by(run))
    return Judged(mutant, "survived")


def _noticed_by(run: PytestRun) -> str:
    noticed = sorted(run.recorded.ids("failed", "error"))
    return noticed[0] if noticed else run.outcome.reason or f"exit code {run.outcome.exit_code}"


def _account(sample: Sample, judged: tuple[Judged, ...]) -> Mutation:
    run = [one for one in judged if one.fate != "not run"]
    survivors = [one for one in run if one.fate != "killed"]
    reason = ""
    if len(run) < min(LEAST_JUDGED, len(judged)):
        reason = f"only {len(run)} of {len(judged)} mutants could be run in the time there was"
    return Mutation(
        seed=sample.seed,
        possible=sample.possible,
        total=len(run),
        killed=len(run) - len(survivors),
        survivors=tuple(_told(one) for one in survivors[:SURVIVORS_NAMED]),
        reason=reason,
    )


def _write_report(found: Mutation, commit: str, judged: tuple[Judged, ...], path: Path) -> None:
    mutants = [
        {
            "path": one.mutant.path,
            "line": one.mutant.line,
            "operator": one.mutant.operator,
            "before": one.mutant.before,
            "after": one.mutant.after,
            "fate": one.fate,
            "by": one.by,
        }
        for one in judged
    ]
    document = {
        "format": "aicd-mutation/1",
        "commit": commit,
        "seed": found.seed,
        "possible": found.possible,
        "total": found.total,
        "killed": found.killed,
        "mutants": mutants,
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _told(one: Judged) -> str:
    return one.mutant.label + (" (no test runs this line)" if one.fate == "not covered" else "")
