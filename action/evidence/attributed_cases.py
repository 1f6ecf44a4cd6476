"""Test reports of the .NET family: each case carries its end as one word in an attribute.

A word that is not in a dialect's table is an error: what we cannot name did not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from action.evidence.figures import parse_count
from action.evidence.limits import Allowance
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile, Kind, Outcome, TestCase, TestTotals

Attributes = dict[str, str]
_MESSAGE_ELEMENTS = frozenset(("message", "Message"))


@dataclass(frozen=True)
class Dialect:
    """`cases` are the elements of a case; `totals` says where a header declares how many there are."""

    tool: str
    cases: frozenset[str]
    word: Callable[[Attributes], str]
    outcomes: Mapping[str, Outcome]
    name: Callable[[Attributes], str]
    seconds: Callable[[Attributes], float | None]
    totals: tuple[str, str]
    run_errors: Callable[[str, Attributes], bool] = lambda _name, _attributes: False


@dataclass
class _Open:
    attributes: Attributes
    message: str = ""
    has_inner: bool = False


class AttributedCasesReader:
    """A case with cases inside is their sum, and is not counted beside them."""

    kind: Kind = "junit"

    def __init__(self, allowance: Allowance, dialect: Dialect) -> None:
        self._allowance = allowance
        self._dialect = dialect
        self._problems = Problems()
        self._cases: list[TestCase] = []
        self._open: list[_Open] = []
        self._declared: int | None = None

    def start(self, name: str, attributes: Attributes) -> bool:
        if name in self._dialect.cases:
            if self._open:
                self._open[-1].has_inner = True
            self._allowance.take_case()
            self._open.append(_Open(attributes))
        elif self._dialect.run_errors(name, attributes):
            self._problems.add("the run itself broke, outside its tests")
            self._cases.append(TestCase(node_id=f"run error {len(self._cases) + 1}", outcome="error"))
        if name == self._dialect.totals[0]:
            self._declared = (self._declared or 0) + (parse_count(attributes.get(self._dialect.totals[1])) or 0)
        return name in _MESSAGE_ELEMENTS and bool(self._open)

    def end(self, name: str, text: str) -> None:
        if name in _MESSAGE_ELEMENTS and self._open:
            self._open[-1].message = self._open[-1].message or one_line(text, 500)
        elif name in self._dialect.cases:
            case = self._open.pop()
            if not case.has_inner:
                self._cases.append(self._case(case))

    def finish(self, path: str) -> EvidenceFile:
        cases = tuple(self._cases)
        if not cases:
            self._problems.add("there is no test case in it")
        if self._declared is not None and self._declared != len(cases):
            self._problems.add(f"the header says {self._declared} tests, there are {len(cases)} cases")
        return EvidenceFile(
            path=path,
            kind=self.kind,
            tests=TestTotals.count(cases),
            problems=self._problems.told(),
            tool=self._dialect.tool,
            cases=cases,
        )

    def _case(self, case: _Open) -> TestCase:
        word = self._dialect.word(case.attributes).strip().lower()
        outcome = self._dialect.outcomes.get(word)
        if outcome is None:
            self._problems.add(f'"{one_line(word, 40)}" is no known end of a test, counted as an error')
        return TestCase(
            node_id=self._dialect.name(case.attributes)[:2000],
            outcome=outcome or "error",
            duration_seconds=self._dialect.seconds(case.attributes),
            message="" if outcome == "passed" else case.message,
        )
