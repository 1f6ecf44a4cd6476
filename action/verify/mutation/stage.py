"""The stage of a verification that asks: would the tests notice a fault in what was changed?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from action.verify.checkout import Snapshot
from action.verify.mutation.run import BUDGET_SECONDS, Runner, Tests, run_mutants
from action.verify.mutation.sample import draw_sample
from action.verify.pytestrun import PytestOrder, PytestRun
from controlplane.evidence import Mutation

# Code in which we know no faults to make.
OTHER_CODE = (
    ".js",
    ".jsx",
    ".ts",
    ".tsx",
    ".mjs",
    ".cjs",
    ".go",
    ".rs",
    ".java",
    ".kt",
    ".cs",
    ".rb",
    ".php",
    ".c",
    ".cpp",
)


def measure_mutants(
    base: Snapshot,
    head: Snapshot,
    lines: Mapping[str, frozenset[int]],
    orders: Sequence[PytestOrder],
    runs: Mapping[str, PytestRun],
    runner: Runner,
    report: Path,
    seconds: float,
) -> Mutation:
    """Run a sample of mutants of the changed lines against the tests that ran: the base's and the change's own."""
    sample = draw_sample(base, head, lines)
    if not sample.possible and any(PurePosixPath(path).suffix in OTHER_CODE for path in lines):
        return Mutation(seed=sample.seed, reason="mutants are made of Python only, and the change has other code")
    own = [(order, runs[order.purpose]) for order in orders if order.purpose in ("base-tests", "change-tests")]
    # A run that its settings leave without any test notices nothing.
    tests = Tests(tuple((order, run) for order, run in own if run.recorded.cases))
    workers = max(2, os.cpu_count() or 2)
    return run_mutants(sample, head, tests, runner, report, workers=workers, seconds=min(BUDGET_SECONDS, seconds))
