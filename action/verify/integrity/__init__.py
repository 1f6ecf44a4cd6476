"""Integrity: whether anything that judges was weakened. One sibling per class of finding, and the tables of them."""

from __future__ import annotations

from collections.abc import Mapping

from action.verify.checkout import Snapshot
from action.verify.integrity.reports import find_mismatches
from action.verify.policy import Policy
from action.verify.pytestrun import PytestRun
from controlplane.evidence import IntegrityFinding


def inspect_snapshots(base: Snapshot, head: Snapshot, policy: Policy) -> tuple[IntegrityFinding, ...]:
    """What the two trees tell by themselves, before anything runs."""
    del base, head, policy
    return ()


def inspect_runs(
    base: Snapshot, head: Snapshot, runs: Mapping[str, PytestRun], before: PytestRun | None
) -> tuple[IntegrityFinding, ...]:
    """What the runs tell; `before` are the base's tests on the base itself, where there was a reason to run them."""
    del base, head, before
    return tuple(find_mismatches(runs))
