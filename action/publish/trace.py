"""Which passing test names which acceptance line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from controlplane.evidence import TestCase
from controlplane.plan import Sprint


def trace_acceptance(sprint: Sprint, cases: Sequence[TestCase]) -> dict[str, tuple[str, ...]]:
    """Acceptance id → node ids of tests that name it and passed. `US1.2` is also named by `us1_2` and `US1-2`.

    A test that failed in one of its runs proves nothing.
    """
    broken = {case.node_id for case in cases if case.outcome in ("failed", "error")}
    passed = sorted({case.node_id for case in cases if case.outcome == "passed"} - broken)
    return {
        line.id: tuple(node for node in passed if _names(line.id, node))
        for story in sprint.stories
        for line in story.acceptance
    }


def _names(identifier: str, node_id: str) -> bool:
    parts = [re.escape(part) for part in re.split(r"[._-]", identifier) if part]
    return (
        bool(parts) and re.search(rf"(?<![a-z0-9]){'[._-]'.join(parts)}(?![0-9])", node_id, re.IGNORECASE) is not None
    )
