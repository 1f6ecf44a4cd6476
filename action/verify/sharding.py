"""One suite in several processes at once: each collects everything and runs the modules of its share.

Each share has a checkout, a user and a process of its own, so nothing is shared but the machine. Whether a suite bears
that (a fixed port, a database that all tests use) only its maintainers know, so they ask for it: `tests.shards`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from action.verify.events import PYTEST_NOTHING, PYTEST_OK, RecordedRun
from action.verify.orders import test_modules
from action.verify.pytestrun import PytestOrder, PytestRun
from action.verify.sandbox import Outcome

# What runs tests for their outcome; mutants and looks at a few tests are runs of their own.
SHARDED = ("base-tests", "change-tests", "probe")


def split_order(order: PytestOrder, shards: int) -> tuple[PytestOrder, ...]:
    """The order's shares, at most one for each test module; the order alone where it is not to be split."""
    count = min(shards, len(order.paths or test_modules(order.snapshot)))
    if order.purpose not in SHARDED or count < 2:
        return (order,)
    return tuple(replace(order, shard=(number, count)) for number in range(count))


def merge_runs(runs: Sequence[PytestRun]) -> PytestRun:
    """As if one process had run it. An empty share says nothing unless all are empty."""
    if len(runs) == 1:
        return runs[0]
    told = [run for run in runs if run.outcome.exit_code != PYTEST_NOTHING] or list(runs)
    first = told[0]
    recorded = [run.recorded for run in told]
    cases = {case.node_id: case for one in recorded for case in one.cases}
    return replace(
        first,
        command=runs[0].command,
        outcome=_merge_outcomes([run.outcome for run in told]),
        recorded=RecordedRun(
            cases=tuple(sorted(cases.values(), key=lambda case: case.node_id)),
            collected=_joined(one.collected for one in recorded),
            deselected=_joined(one.deselected for one in recorded),
            mismatches=_joined(one.mismatches for one in recorded),
            executed=_merge_lines([one.executed for one in recorded]),
            probes=frozenset().union(*(one.probes for one in recorded)),
            tampered=frozenset().union(*(one.tampered for one in recorded)),
            tripped=frozenset().union(*(one.tripped for one in recorded)),
        ),
    )


def _joined(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))


def _merge_lines(parts: list[Mapping[str, frozenset[int]]]) -> dict[str, frozenset[int]]:
    merged: dict[str, frozenset[int]] = {}
    for part in parts:
        for path, lines in part.items():
            merged[path] = merged.get(path, frozenset()) | lines
    return merged


def _merge_outcomes(outcomes: list[Outcome]) -> Outcome:
    """The worst exit code: one that was stopped, then any that is not 0."""
    worst = max(outcomes, key=lambda one: (one.exit_code is None, one.exit_code != PYTEST_OK))
    return replace(
        worst,
        duration_seconds=max(one.duration_seconds for one in outcomes),
        output=b"".join(one.output for one in outcomes),
        errors=b"".join(one.errors for one in outcomes),
        channel=b"",
    )
