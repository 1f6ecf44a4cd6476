"""The evidence as the criteria look at it: what was readable, what was not, and where we looked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import PurePath

from action.gate.coverage import Coverage, merge_coverage
from controlplane.evidence import Evidence, EvidenceFile, Kind, TestCase, TestTotals, ToolRun
from controlplane.plan import Plan

TYPE_CHECKERS = ("mypy", "pyright")
LINTERS = ("ruff", "flake8", "eslint", "pylint", "")
# An end-to-end report in JUnit's form is known by its name or folder, or by the property that the reader looks for.
_E2E_PATH = re.compile(r"(?:^|[/\\._-])(?:e2e|end-to-end|playwright)(?:[/\\._-]|$)", re.IGNORECASE)
_PLACES_NAMED = 10


class FailingTests:
    """Cases that failed or broke, told one by one: there may be very many.

    Counted by the totals, so that evidence whose cases were left out on its way cannot look green.
    """

    def __init__(self, files: tuple[EvidenceFile, ...]) -> None:
        self._files = files
        self.count = sum(file.tests.failed + file.tests.errors for file in files if file.tests is not None)
        self.first = next(self.told(), "not named")

    def told(self) -> Iterator[str]:
        for file in self._files:
            for case in file.cases:
                if case.outcome in ("failed", "error"):
                    yield f"{case.node_id}: {case.message}" if case.message else case.node_id


class Facts:
    """One evidence, looked at from several sides. Files are taken in the order of their paths."""

    def __init__(self, evidence: Evidence, plan: Plan | None = None) -> None:
        self.evidence = evidence
        self.plan = plan
        self.files = tuple(sorted(evidence.files, key=lambda file: file.path))

    def unreadable(self, *kinds: Kind) -> tuple[EvidenceFile, ...]:
        """Files that could not be read and may have held something of these kinds."""
        return tuple(file for file in self.files if any(kind in kinds for kind in _suspected(file)))

    def runs(self, *purposes: str) -> tuple[ToolRun, ...]:
        return tuple(run for run in self.evidence.runs if run.purpose in purposes)

    @cached_property
    def junit(self) -> tuple[EvidenceFile, ...]:
        return tuple(file for file in self.files if file.kind == "junit" and file.tests is not None)

    @cached_property
    def unit(self) -> tuple[EvidenceFile, ...]:
        """JUnit reports that are not marked as end-to-end ones."""
        return tuple(file for file in self.junit if not is_e2e(file))

    @cached_property
    def e2e(self) -> tuple[EvidenceFile, ...]:
        playwright = (file for file in self.files if file.kind == "playwright" and file.tests is not None)
        return (*playwright, *(file for file in self.junit if is_e2e(file)))

    @cached_property
    def test_reports(self) -> tuple[EvidenceFile, ...]:
        return tuple(file for file in self.files if file.tests is not None)

    @cached_property
    def cases(self) -> tuple[TestCase, ...]:
        return tuple(case for file in self.test_reports for case in file.cases)

    @cached_property
    def totals(self) -> TestTotals:
        return add_totals(file.tests for file in self.test_reports if file.tests is not None)

    @cached_property
    def coverage(self) -> Coverage:
        readable = tuple(file for file in self.files if file.kind == "coverage" and file.coverage is not None)
        return merge_coverage(readable, complete=not self.unreadable("coverage"))

    @cached_property
    def lint(self) -> tuple[EvidenceFile, ...]:
        return self._findings_of(*LINTERS)

    @cached_property
    def types(self) -> tuple[EvidenceFile, ...]:
        return self._findings_of(*TYPE_CHECKERS)

    def _findings_of(self, *tools: str) -> tuple[EvidenceFile, ...]:
        """A linter may write SARIF too; a SARIF run without a tool's name is not taken for one."""
        return tuple(
            file
            for file in self.files
            if file.issues is not None
            and (
                (file.kind == "lint" and file.tool in tools)
                or (file.kind == "sarif" and file.tool in tools and file.tool)
            )
        )

    def looked(self) -> str:
        """Where we looked, as the end of a sentence's paragraph."""
        places = self.evidence.looked_in or tuple(file.path for file in self.files)
        if not places:
            return "No report was given."
        more = len(places) - _PLACES_NAMED
        return f"Looked in: {', '.join(places[:_PLACES_NAMED])}{f' and {more} more' if more > 0 else ''}."


def _suspected(file: EvidenceFile) -> tuple[Kind, ...]:
    """A file of a known kind without a figure is unreadable, whoever made it and whatever was left out on its way."""
    figures = (file.tests, file.coverage, file.lighthouse, file.issues)
    if file.kind != "unknown" and not file.could_be and all(figure is None for figure in figures):
        return (file.kind,)
    return file.could_be


def is_e2e(file: EvidenceFile) -> bool:
    """What verify ran as unit tests is none, wherever its reports lie; only the last folder's name counts."""
    if file.cases and file.cases[0].group:
        return False
    return file.tool == "e2e" or bool(_E2E_PATH.search("/".join(PurePath(file.path).parts[-2:])))


def add_totals(totals: Iterable[TestTotals]) -> TestTotals:
    added = tuple(totals)
    return TestTotals(
        total=sum(one.total for one in added),
        passed=sum(one.passed for one in added),
        failed=sum(one.failed for one in added),
        errors=sum(one.errors for one in added),
        skipped=sum(one.skipped for one in added),
    )


def why_unreadable(files: Iterable[EvidenceFile]) -> str:
    """`junit.xml cannot be read (the XML is broken …)`, for each."""
    return "; ".join(
        f"{file.path} cannot be read ({file.problems[0] if file.problems else 'no reason known'})" for file in files
    )


def named(files: Iterable[EvidenceFile]) -> tuple[str, ...]:
    """The reports a judgement rests on, each with what was wrong with it, though it could be read."""
    return tuple(f"{file.path}: {'; '.join(file.problems)}" if file.problems else file.path for file in files)
