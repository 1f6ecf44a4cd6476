"""Of the run of the change's tests: which cases are the change's own, and which the base's run has told already."""

from __future__ import annotations

from action.verify.checkout import Snapshot
from action.verify.pytestrun import PytestRun
from action.verify.testcode import read_tests
from controlplane.evidence import TestCase


def own_cases(run: PytestRun, base: Snapshot, head: Snapshot) -> tuple[TestCase, ...]:
    """New and altered tests, and whatever did not pass.

    An altered module holds old tests as well; those ran with the base already and are not counted twice. But one that
    fails only with the change's settings is a failure of the change.
    """
    unaltered = _unaltered(base, head)
    return tuple(
        case
        for case in run.recorded.cases
        if case.outcome != "passed" or case.node_id.partition("[")[0] not in unaltered
    )


def _unaltered(base: Snapshot, head: Snapshot) -> frozenset[str]:
    return frozenset(
        node_id
        for path in base.test_paths & head.test_paths
        for node_id, test in read_tests(path, base.text(path)).items()
        if (same := read_tests(path, head.text(path)).get(node_id)) is not None and same.body == test.body
    )
