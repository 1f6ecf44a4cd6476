"""What a JUnit suite says of itself, held against its cases. Only named: the cases alone decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from action.evidence.figures import parse_count
from action.evidence.wording import one_line
from controlplane.evidence import Outcome

_TOTALS = ("tests", "failures", "errors", "skipped")


@dataclass
class Count:
    """Cases, and those among them that failed (or broke) and were skipped."""

    tests: int = 0
    failing: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        self.tests += other.tests
        self.failing += other.failing
        self.skipped += other.skipped


@dataclass
class Suite:
    """`own` counts the cases right inside, `inner` those of suites within it: writers differ on which they declare."""

    element: str
    name: str
    declared: dict[str, int | None]
    bad: tuple[str, ...]
    own: Count = field(default_factory=Count)
    inner: Count = field(default_factory=Count)

    @classmethod
    def of(cls, element: str, attributes: dict[str, str]) -> Suite:
        declared = {key: parse_count(attributes[key]) for key in _TOTALS if attributes.get(key, "") != ""}
        bad = tuple(f'{key}="{one_line(attributes[key], 40)}"' for key, value in declared.items() if value is None)
        return cls(element, one_line(attributes.get("name", ""), 80), declared, bad)

    def count(self, outcomes: Sequence[Outcome]) -> None:
        failing = outcomes.count("failed") + outcomes.count("error")
        self.own.add(Count(len(outcomes), failing, len(outcomes) - failing - outcomes.count("passed")))

    def absorb(self, suite: Suite) -> None:
        self.inner.add(suite.own)
        self.inner.add(suite.inner)

    def mismatches(self) -> Iterator[str]:
        """Sentences for each figure of the header that the cases do not bear out."""
        where = f'{self.element} "{self.name}"' if self.name else self.element
        for bad in self.bad:
            yield f"{where}: {bad} is no count"
        tests = self.declared.get("tests")
        if tests is not None and not self._fits(tests):
            yield f"{where} says tests={tests}, there are {self._all.tests} cases"
        failing = self._declared_failing()
        if failing is not None and not self._fits_failing(failing):
            yield f"{where} says failures and errors={failing}, the cases say {self._all.failing}"
        skipped = self.declared.get("skipped")
        if skipped is not None and not self._fits_skipped(skipped):
            yield f"{where} says skipped={skipped}, the cases say {self._all.skipped}"

    def ends_otherwise(self) -> bool:
        """Whether the header knows of other failures or skips than the cases do."""
        failing, skipped = self._declared_failing(), self.declared.get("skipped")
        return (failing is not None and not self._fits_failing(failing)) or (
            skipped is not None and not self._fits_skipped(skipped)
        )

    def _fits_failing(self, failing: int) -> bool:
        return failing in (self.own.failing, self._all.failing)

    def _fits_skipped(self, skipped: int) -> bool:
        return skipped in (self.own.skipped, self._all.skipped)

    @property
    def _all(self) -> Count:
        return Count(
            self.own.tests + self.inner.tests,
            self.own.failing + self.inner.failing,
            self.own.skipped + self.inner.skipped,
        )

    def _fits(self, tests: int) -> bool:
        """Some writers leave the skipped ones out of `tests`."""
        counts = (self.own, self._all)
        return any(tests in (count.tests, count.tests - count.skipped) for count in counts)

    def _declared_failing(self) -> int | None:
        """The sum of failures and errors, which some writers mix up; None where one of them is no count."""
        written = [self.declared[key] for key in ("failures", "errors") if key in self.declared]
        known = [figure for figure in written if figure is not None]
        return sum(known) if known and len(known) == len(written) else None
