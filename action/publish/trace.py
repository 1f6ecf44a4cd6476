"""Which passing test names which acceptance line."""

from __future__ import annotations

from collections.abc import Sequence

from action.gate.criteria.acceptance_traced import naming
from controlplane.evidence import TestCase
from controlplane.plan import Sprint


def trace_acceptance(sprint: Sprint, cases: Sequence[TestCase]) -> dict[str, tuple[str, ...]]:
    """Acceptance id → node ids of tests that name it and passed. The gate's own rule says what names a line.

    A test that failed in one of its runs proves nothing.
    """
    broken = {case.node_id for case in cases if case.outcome in ("failed", "error")}
    passed = sorted({case.node_id for case in cases if case.outcome == "passed"} - broken)
    return {
        line.id: tuple(node for node in passed if naming(line.id).search(node))
        for story in sprint.stories
        for line in story.acceptance
    }
