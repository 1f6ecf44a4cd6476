"""The base's tests, compared as code: what vanished, moved, lost assertions or parameters, or was marked as skipped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property

from action.verify.checkout import Snapshot
from action.verify.layout import is_test_module
from action.verify.support import support_paths
from action.verify.testcode import TestFunction, asserting_functions, read_tests, swallows_now, weaknesses
from controlplane.evidence import IntegrityFinding


def find_weakened_tests(base: Snapshot, head: Snapshot) -> Iterator[IntegrityFinding]:
    """Findings by kind and file, each naming its node ids. What is fine is noted too: moved and edited tests."""
    before, after = tests_of(base), tests_of(head)
    found: dict[tuple[str, bool, str, str], list[str]] = defaultdict(list)
    library = _Library(base, head, before, after)
    for node_id, old in before.items():
        new = after.get(node_id)
        for kind, fails, reason in library.compare(old, new):
            found[kind, fails, node_id.partition("::")[0], reason].append(node_id)
    for (kind, fails, file, reason), node_ids in found.items():
        yield IntegrityFinding(kind=kind, fails=fails, file=file, node_ids=tuple(node_ids), reason=reason)
    yield from _changed_data(base, head)


def tests_of(snapshot: Snapshot) -> dict[str, TestFunction]:
    """Every test function of a tree by node id, without parameters."""
    patterns = snapshot.pytest_config.python_files
    return {
        node_id: test
        for path in sorted(snapshot.test_paths)
        if is_test_module(path, patterns)
        for node_id, test in read_tests(path, snapshot.text(path)).items()
    }


class _Library:
    """What the head's tests hold in all, to tell a moved assertion from a removed one."""

    def __init__(
        self,
        base: Snapshot,
        head: Snapshot,
        before: dict[str, TestFunction],
        after: dict[str, TestFunction],
    ) -> None:
        self.base, self.head = base, head
        self.new = {node_id: test for node_id, test in after.items() if node_id not in before}
        self.bodies = Counter(test.body for test in self.new.values())
        # Assertions of new or altered tests only: those of unaltered ones were there before.
        unaltered = {
            node_id for node_id, test in before.items() if node_id in after and after[node_id].body == test.body
        }
        altered = (test for node_id, test in after.items() if node_id not in unaltered)
        self.assertions = {assertion for test in altered for assertion in test.assertions}

    @cached_property
    def asserting(self) -> tuple[dict[str, int], dict[str, int]]:
        """Functions that assert for their callers, of the base and of the head: only altered tests make us look."""
        return _asserting(self.base), _asserting(self.head)

    def compare(self, old: TestFunction, new: TestFunction | None) -> Iterator[tuple[str, bool, str]]:
        if new is None:
            yield self._vanished(old)
            return
        yield from _marks(old, new)
        if new.body == old.body:
            return
        weaker = self._weaker(old, new)
        if weaker:
            yield "test-weakened", True, weaker
        else:
            yield "test-changed", False, "its code was changed; the base's version ran as well"

    def _vanished(self, old: TestFunction) -> tuple[str, bool, str]:
        if self.bodies[old.body] > 0:
            self.bodies[old.body] -= 1
            return "test-moved", False, "a test with an equal body stands elsewhere"
        if old.assertions and all(assertion in self.assertions for assertion in old.assertions):
            return "test-moved", False, "every assertion of it is made in another test"
        return "test-vanished", True, "it is gone, and no test with an equal body stands elsewhere"

    def _weaker(self, old: TestFunction, new: TestFunction) -> str:
        if swallows_now(old.node, new.node):
            return "it swallows exceptions now"
        gone = [assertion for assertion in old.assertions if assertion not in self.assertions]
        before, after = self.asserting
        earlier, now = _weight(old, before), _weight(new, after)
        if new.parameters < old.parameters and now < earlier:
            return f"it has {new.parameters} sets of parameters, and had {old.parameters}"
        if now < earlier and gone:
            return f"it makes {now} assertions that can fail, and made {earlier}"
        return "; ".join(weaknesses(old.node, new.node, before, after)) if gone else ""


def _asserting(snapshot: Snapshot) -> dict[str, int]:
    """Functions of the tests and what supports them that assert for their callers; of a name, the least demanding."""
    found: dict[str, int] = {}
    for path in sorted(snapshot.test_paths):
        if path.endswith(".py"):
            for name, demand in asserting_functions(snapshot.text(path)).items():
                found[name] = min(demand, found.get(name, demand))
    return found


def _weight(test: TestFunction, asserting: dict[str, int]) -> int:
    return test.weight + sum(times for name, times in test.calls() if name in asserting)


def _marks(old: TestFunction, new: TestFunction) -> Iterator[tuple[str, bool, str]]:
    for mark in new.marks:
        if mark not in old.marks:
            kind = "test-xfailed" if "xfail" in mark or "expectedFailure" in mark else "test-skipped"
            yield kind, True, f"it was marked: {mark[:120]}"


def _changed_data(base: Snapshot, head: Snapshot) -> Iterator[IntegrityFinding]:
    """Snapshots, fixtures and helpers: the base's stand in the base's run, so an edit is told, not failed."""
    for path in sorted(base.test_paths | support_paths(base)):
        if path.endswith(".py") and is_test_module(path, base.pytest_config.python_files):
            continue
        if path.rpartition("/")[2] == "conftest.py" or base.contents[path] == head.contents.get(path):
            continue
        verb = "changed" if path in head.contents else "removed"
        yield IntegrityFinding(
            kind="test-data-changed",
            fails=False,
            file=path,
            reason=f"what the tests rest on was {verb}; the base's tests ran with the base's version",
        )
