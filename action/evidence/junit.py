"""JUnit XML in its dialects: pytest, Surefire, Gradle, ScalaTest, Jest, Go, Bazel, googletest, nested suites.

There is no standard. What the writers agree on: a `testcase` is one case, and its children say how it ended. Every
case is counted as it stands; two of the same name are two cases. Where children and a status attribute disagree, the
worse one holds.
"""

from __future__ import annotations

from action.evidence.junit_case import WORSE, CaseAdder
from action.evidence.junit_suite import Suite
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile, Kind, TestTotals
from controlplane.testcase import Cases, Columns, Group, Outcome

ROOTS = ("testsuites", "testsuite")

# The children of a case that decide it. Surefire writes `flakyFailure` into a case that passed when run again, and
# `rerunFailure` beside the failure of one that never did (maven-surefire: rerun failing tests).
_CHILDREN: dict[str, Outcome] = {
    "failure": "failed",
    "error": "error",
    "skipped": "skipped",
    "rerunFailure": "failed",
    "rerunError": "error",
}
_FLAKY = ("flakyFailure", "flakyError")
# What else stands inside a case and says nothing of its end.
_HARMLESS = frozenset(("system-out", "system-err", "properties", "stackTrace", "output"))
_MESSAGE_LENGTH = 500
E2E_PROPERTY = "aicd.suite"
# As action/verify/junit.py writes them into each case. A group alone is of somebody else's making, and whether ours is
# believed is up to who asked for the report.
NODE_ID_PROPERTY, GROUP_PROPERTY = "node_id", "group"
_GROUPS: dict[str, Group] = {"base": "base", "change": "change"}


def is_junit(root: str, _attributes: dict[str, str]) -> bool:
    return root in ROOTS


class JunitReader:
    """One document. `tool` becomes `e2e` where a property `aicd.suite` says so."""

    kind: Kind = "junit"
    leaf = "testcase"

    def __init__(self, allowance: Allowance) -> None:
        self._take_case = allowance.take_case
        self._problems = Problems()
        self._columns = Columns()
        self._add = CaseAdder(self._columns, allowance, self._problems).add
        self._suites: list[Suite] = []
        self._counted = 0  # the cases that a suite has counted already
        self._flaky = 0
        self._stranger = ""
        self._tool = ""
        self._case: dict[str, str] | None = None
        self._outcome: Outcome = "passed"
        self._message = ""
        self._awaits_message = False
        self._own: dict[str, str] = {}

    def add_leaves(self, leaves: list[dict[str, str]]) -> None:
        """Cases with nothing inside: they passed, unless an attribute says otherwise."""
        if self._case is not None and leaves:
            raise UnreadableReport("a test case begins inside another one")
        self._add(leaves)

    def start(self, name: str, attributes: dict[str, str]) -> bool:
        if name == "testcase":
            self._start_case(attributes)
        elif name in _CHILDREN:
            return self._start_child(name, attributes)
        elif name in ROOTS:
            self._start_suite(name, attributes)
        elif name == "property":
            self._read_property(attributes.get("name"), attributes.get("value"))
        elif name in _FLAKY:
            self._flaky += 1
        elif self._case is not None and name not in _HARMLESS:
            self._stranger = self._stranger or name
        return False

    def end(self, name: str, text: str) -> None:
        if name == "testcase":
            self._end_case()
        elif name in _CHILDREN:
            if self._awaits_message:
                self._message = one_line(text, _MESSAGE_LENGTH)
                self._awaits_message = False
        elif name in ROOTS:
            self._end_suite()

    def finish(self, path: str) -> EvidenceFile:
        cases = Cases(self._columns)
        if not cases:
            self._problems.add("there is no test case in it")
        if self._flaky:
            self._problems.add(f"{self._flaky} attempts failed before their test passed (flaky)")
        return EvidenceFile(
            path=path,
            kind=self.kind,
            tests=TestTotals.count(cases),
            problems=self._problems.told(),
            tool=self._tool,
            cases=cases,
        )

    def _start_suite(self, element: str, attributes: dict[str, str]) -> None:
        if self._case is not None:
            raise UnreadableReport("a suite begins inside a test case")
        self._take_case()
        self._count_cases()
        self._suites.append(Suite.of(element, attributes))

    def _end_suite(self) -> None:
        self._count_cases()
        suite = self._suites.pop()
        if self._stranger and suite.ends_otherwise():
            # One unknown element alone is a dialect. With a header that knows of more failures or skips than the cases
            # do, it is the very element that told of them, spelt in a way we do not know.
            raise UnreadableReport(
                f"a test case holds an unknown element `{one_line(self._stranger, 60)}`, and the header of suite "
                f'"{suite.name}" speaks of failed or skipped tests that the cases do not show'
            )
        self._problems.extend(suite.mismatches())
        if self._suites:
            self._suites[-1].absorb(suite)

    def _count_cases(self) -> None:
        """Add the cases since the last suite began or ended to the one that holds them."""
        outcomes = self._columns.outcomes
        if self._suites:
            self._suites[-1].count(outcomes[self._counted :])
        self._counted = len(outcomes)

    def _start_case(self, attributes: dict[str, str]) -> None:
        if self._case is not None:
            raise UnreadableReport("a test case begins inside another one")
        self._case = attributes

    def _end_case(self) -> None:
        assert self._case is not None  # ends only after it began
        case = self._case
        group: Group = ""
        if len(self._own) == 2:  # classes and names do not always add up to the id that they were made of
            case = {**case, "classname": "", "name": self._own[NODE_ID_PROPERTY]}
            group = _GROUPS.get(self._own[GROUP_PROPERTY], "")
        self._add((case,), self._outcome, self._message, group)
        self._case, self._outcome, self._message, self._own = None, "passed", "", {}

    def _read_property(self, name: str | None, value: str | None) -> None:
        if name == E2E_PROPERTY and value == "e2e":
            self._tool = "e2e"
        elif name in (NODE_ID_PROPERTY, GROUP_PROPERTY) and self._case is not None:
            self._own[name] = value or ""

    def _start_child(self, name: str, attributes: dict[str, str]) -> bool:
        outcome = _CHILDREN[name]
        if self._case is None:
            return self._start_suite_error(outcome, attributes)
        if outcome == "skipped" and attributes.get("type") == "pytest.xfail":
            outcome = "xfailed"
        if WORSE[outcome] <= WORSE[self._outcome]:
            if outcome == "xfailed" and self._outcome == "skipped":  # the more exact word for the same end
                self._outcome = outcome
            return False
        self._outcome = outcome
        self._message = one_line(attributes.get("message", ""), _MESSAGE_LENGTH)
        self._awaits_message = not self._message
        return self._awaits_message

    def _start_suite_error(self, outcome: Outcome, attributes: dict[str, str]) -> bool:
        """A failure of the suite itself, outside any case, is counted as a case that failed."""
        if outcome != "skipped":
            name = self._suites[-1].name if self._suites else ""
            message = one_line(attributes.get("message", ""), _MESSAGE_LENGTH)
            self._add(({"name": f"suite {name}"},), outcome, message)
            self._problems.add(f'suite "{name}" failed outside its test cases')
        return False
