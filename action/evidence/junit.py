"""JUnit XML in its dialects: pytest, Surefire, Gradle, ScalaTest, Jest, Go, Bazel, googletest, nested suites.

There is no standard. What the writers agree on: a `testcase` is one case, and its children say how it ended. Every
case is counted as it stands; two of the same name are two cases. Where children and a status attribute disagree, the
worse one holds.
"""

from __future__ import annotations

from action.evidence.figures import parse_count, parse_seconds
from action.evidence.junit_suite import Suite
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile, Kind, Outcome, TestCase, TestTotals

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
_HARMLESS = frozenset(("system-out", "system-err", "properties", "property", "stackTrace", "output", *_FLAKY))
_WORSE: dict[Outcome, int] = {"passed": 0, "xfailed": 1, "skipped": 1, "failed": 2, "error": 3}
# Words of `status` and `result` attributes that say a case did not pass; all others leave it to the children.
_STATUS: dict[str, Outcome] = {
    **dict.fromkeys(("failed", "failure", "fail", "ko", "broken", "timeout", "timedout"), "failed"),
    **dict.fromkeys(("error", "errored"), "error"),
    **dict.fromkeys(("skipped", "skip", "ignored", "disabled", "notrun", "pending", "todo", "suppressed"), "skipped"),
}
_MESSAGE_LENGTH = 500
_ID_LENGTH = 2000
# Reports of 100,000 cases are real; model_validate is this call with arguments that are not needed here.
_VALIDATE = TestCase.__pydantic_validator__.validate_python
E2E_PROPERTY = "aicd.suite"


def is_junit(root: str, _attributes: dict[str, str]) -> bool:
    return root in ROOTS


class JunitReader:
    """One document. `tool` becomes `e2e` where a property `aicd.suite` says so."""

    kind: Kind = "junit"

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._problems = Problems()
        self._cases: list[TestCase] = []
        self._suites: list[Suite] = []
        self._flaky = 0
        self._stranger = ""
        self._tool = ""
        self._case: dict[str, str] | None = None
        self._outcome: Outcome = "passed"
        self._message = ""
        self._awaits_message = False
        self._prefixes: dict[tuple[str, str], str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> bool:
        if name == "testcase":
            self._start_case(attributes)
        elif name in _CHILDREN:
            return self._start_child(name, attributes)
        elif name in ROOTS:
            self._start_suite(name, attributes)
        elif self._case is not None and name not in _HARMLESS:
            self._stranger = self._stranger or name
        elif name in _FLAKY:
            self._flaky += 1
        elif name == "property" and attributes.get("name") == E2E_PROPERTY and attributes.get("value") == "e2e":
            self._tool = "e2e"
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
        cases = tuple(self._cases)
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
        self._allowance.take_case()
        self._suites.append(Suite.of(element, attributes))

    def _end_suite(self) -> None:
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

    def _start_case(self, attributes: dict[str, str]) -> None:
        if self._case is not None:
            raise UnreadableReport("a test case begins inside another one")
        self._allowance.take_case()
        self._case = attributes
        self._outcome = "passed"
        self._message = ""
        for key in ("status", "result"):
            if key in attributes:
                self._worsen(_STATUS.get(attributes[key].strip().lower(), "passed"))

    def _start_child(self, name: str, attributes: dict[str, str]) -> bool:
        outcome = _CHILDREN[name]
        if self._case is None:
            return self._start_suite_error(outcome, attributes)
        if outcome == "skipped" and attributes.get("type") == "pytest.xfail":
            outcome = "xfailed"
        if not self._worsen(outcome):
            return False
        self._message = one_line(attributes.get("message", ""), _MESSAGE_LENGTH)
        self._awaits_message = not self._message
        return self._awaits_message

    def _start_suite_error(self, outcome: Outcome, attributes: dict[str, str]) -> bool:
        """A failure of the suite itself, outside any case, is counted as a case that failed."""
        if outcome != "skipped":
            name = self._suites[-1].name if self._suites else ""
            message = one_line(attributes.get("message", ""), _MESSAGE_LENGTH)
            self._keep({"node_id": f"suite {name}", "outcome": outcome, "message": message}, outcome)
            self._problems.add(f'suite "{name}" failed outside its test cases')
        return False

    def _worsen(self, outcome: Outcome) -> bool:
        """Keep the worse of two outcomes; true when it is the new one."""
        if _WORSE[outcome] <= _WORSE[self._outcome]:
            # `status="skipped"` beside pytest's own word: the more exact one holds.
            if outcome == "xfailed" and self._outcome == "skipped":
                self._outcome = outcome
            return False
        self._outcome = outcome
        return True

    def _end_case(self) -> None:
        assert self._case is not None  # ends only after it began
        attributes, self._case = self._case, None
        file = attributes.get("file", "")
        values: dict[str, object] = {"node_id": self._node_id(attributes, file), "outcome": self._outcome}
        self._add_time(attributes.get("time"), values)
        if self._message:
            values["message"] = self._message
        if file:
            values["file"] = file[:1000]
            line = parse_count(attributes.get("line"))
            if line is not None:
                values["line"] = line
        self._keep(values, self._outcome)

    def _node_id(self, attributes: dict[str, str], file: str) -> str:
        """Cases of one class share the part before their name, which is worked out once."""
        scope = (file[:_ID_LENGTH], attributes.get("classname", "")[:_ID_LENGTH])
        if scope not in self._prefixes:
            self._prefixes[scope] = node_prefix(*scope)
        return (self._prefixes[scope] + attributes.get("name", ""))[:_ID_LENGTH]

    def _add_time(self, text: str | None, values: dict[str, object]) -> None:
        seconds = parse_seconds(text)
        if seconds is not None:
            values["duration_seconds"] = seconds
        elif text:
            self._problems.add(f'time="{one_line(text, 40)}" is no duration')

    def _keep(self, values: dict[str, object], outcome: Outcome) -> None:
        self._cases.append(_VALIDATE(values))
        if self._suites:
            self._suites[-1].count(outcome)


def node_prefix(file: str, classname: str) -> str:
    """What stands before a case's name: pytest's own id where the report names the file (junit_family=xunit1), else
    the class. pytest writes the module and the classes into `classname`, dotted; the file says where the module ends.
    """
    if file.endswith(".py"):
        module = file.removesuffix(".py").replace("\\", "/").removeprefix("./").replace("/", ".")
        if classname == module:
            return f"{file}::"
        if classname.startswith(module + "."):
            return "::".join((file, *classname[len(module) + 1 :].split("."), ""))
    return f"{classname}::" if classname else ""
