"""What became of the base's tests when they ran on the change: failed, skipped, expected to fail, or gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from action.verify.checkout import Snapshot
from action.verify.integrity.doctests import still_documented
from action.verify.integrity.tests import tests_of
from action.verify.pytestrun import PytestRun
from controlplane.evidence import IntegrityFinding


def find_lost_tests(
    base: Snapshot, head: Snapshot, runs: Mapping[str, PytestRun], before: PytestRun | None
) -> Iterator[IntegrityFinding]:
    """Compare node by node with the base. What the base itself could not do either is noted, not failed."""
    laid_over = runs.get("base-tests")
    if laid_over is None or laid_over.outcome.exit_code is None:
        return
    earlier = _outcomes(before)
    yield from _outcome(laid_over, earlier, ("failed", "error"), "test-failed", "a test of the base does not pass")
    yield from _outcome(laid_over, earlier, ("skipped",), "test-skipped", "a test of the base is skipped")
    yield from _outcome(laid_over, earlier, ("xfailed",), "test-xfailed", "a test of the base is expected to fail")
    collected = runs.get("collect")
    expected = set(collected.recorded.collected if collected else ())
    ran = {case.node_id for case in laid_over.recorded.cases}
    broken = {case.node_id for case in laid_over.recorded.cases if "::" not in case.node_id}
    gone = [
        node for node in expected - ran if node.partition("::")[0] not in broken and not still_documented(node, head)
    ]
    yield from _grouped("test-vanished", gone, "a test of the base was not run", fails=True)
    yield from _left_out(base, head, runs, expected)


def _outcome(
    run: PytestRun, earlier: Mapping[str, str], outcomes: tuple[str, ...], kind: str, reason: str
) -> Iterator[IntegrityFinding]:
    now = [case.node_id for case in run.recorded.cases if case.outcome in outcomes]
    new = [node for node in now if earlier.get(node) not in outcomes]
    yield from _grouped(kind, new, reason, fails=True)
    yield from _grouped(kind, set(now) - set(new), f"{reason}; it was so on the base already", fails=False)


def _left_out(
    base: Snapshot, head: Snapshot, runs: Mapping[str, PytestRun], expected: set[str]
) -> Iterator[IntegrityFinding]:
    """Tests that still stand in the head's code, but that its own settings no longer run, or skip."""
    own = runs.get("change-tests")
    if own is None or not own.everything or own.outcome.exit_code is None:
        return
    standing = tests_of(base).keys() & tests_of(head).keys()
    told = {case.node_id.partition("[")[0]: case.outcome for case in own.recorded.cases}
    broken = {case.node_id for case in own.recorded.cases if "::" not in case.node_id}
    wanted = {node.partition("[")[0] for node in expected} & standing
    gone = [node for node in wanted if node not in told and node.partition("::")[0] not in broken]
    yield from _grouped("test-vanished", gone, "the change's own settings no longer run it", fails=True)


def _outcomes(run: PytestRun | None) -> dict[str, str]:
    return {case.node_id: case.outcome for case in run.recorded.cases} if run else {}


def _grouped(kind: str, nodes: Iterable[str], reason: str, *, fails: bool) -> Iterator[IntegrityFinding]:
    by_file: dict[str, list[str]] = defaultdict(list)
    for node in sorted(nodes):
        by_file[node.partition("::")[0]].append(node)
    for file, node_ids in by_file.items():
        yield IntegrityFinding(kind=kind, fails=fails, file=file, node_ids=tuple(node_ids), reason=reason)
