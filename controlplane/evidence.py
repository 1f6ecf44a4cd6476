"""Evidence: what the reports really say, recounted from cases and lines. Headers are not believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, InstanceOf, computed_field

from controlplane.noun import Noun
from controlplane.testcase import Cases as Cases
from controlplane.testcase import Outcome as Outcome
from controlplane.testcase import TestCase as TestCase

Kind = Literal["junit", "coverage", "playwright", "lighthouse", "sarif", "lint", "unknown"]


class TestTotals(Noun):
    """Counts of cases; `skipped` includes expected failures. total = passed + failed + errors + skipped."""

    __test__ = False

    total: int = 0
    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @classmethod
    def count(cls, cases: Sequence[TestCase]) -> TestTotals:
        outcomes = cases.outcomes() if isinstance(cases, Cases) else [case.outcome for case in cases]
        return cls(
            total=len(outcomes),
            passed=outcomes.count("passed"),
            failed=outcomes.count("failed"),
            errors=outcomes.count("error"),
            skipped=outcomes.count("skipped") + outcomes.count("xfailed"),
        )


class CoverageTotals(Noun):
    """Lines. `ratio` is None when nothing was there to cover: not measured, never 1."""

    covered: int = Field(ge=0)
    total: int = Field(ge=0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ratio(self) -> float | None:
        return round(self.covered / self.total, 6) if self.total else None


class FileCoverage(Noun):
    """Line numbers of one source file, from 1; `missing` and `covered` are disjoint."""

    path: str
    covered: frozenset[int]
    missing: frozenset[int]


class EvidenceFile(Noun):
    """One report file. What it could not tell is None, and `problems` says why.

    A file that cannot be read is evidence of nothing: kind `unknown` or its kind, every figure None.
    """

    path: str
    kind: Kind
    tests: TestTotals | None = None
    coverage: CoverageTotals | None = None
    lighthouse: dict[str, float | None] | None = None
    issues: int | None = None
    problems: tuple[str, ...] = ()
    tool: str = Field("", exclude=True, description="Which program wrote it, where the report says so: ruff, mypy …")
    # In this order: Cases is looked at as a tuple only by who wants each of them.
    cases: InstanceOf[Cases] | tuple[TestCase, ...] = Field((), exclude=True, union_mode="left_to_right")
    lines: tuple[FileCoverage, ...] = Field((), exclude=True)
    findings: tuple[str, ...] = Field((), exclude=True, description="path:line: text, at most 50.")
    severities: dict[str, int] = Field(default_factory=dict, exclude=True, description="SARIF findings by severity.")
    could_be: tuple[Kind, ...] = Field(
        (), exclude=True, description="Set on a file that could not be read: the kinds it may have been."
    )


class ToolRun(Noun):
    """One program that verify started. `exit_code` is None when it was stopped or never ran; `reason` says why.

    `purpose` is what the run was for; the gate holds its exit code against the report it left. `unit`, `command` and
    `e2e` with a report of their own are commands that the project tells (`tests`), or that its package.json holds.
    """

    purpose: Literal[
        "base-tests",
        "change-tests",
        "lint",
        "types",
        "security",
        "collect",
        "environment",
        "custom",
        "unit",
        "command",
        "e2e",
        "lighthouse",
        "app",
    ]
    id: str = ""
    command: tuple[str, ...] = ()
    exit_code: int | None = None
    timed_out: bool = False
    duration_seconds: float = 0.0
    report: str = ""
    log: str = ""
    reason: str = ""


class IntegrityFinding(Noun):
    """One thing that judges and was touched. Only `fails` ones fail the criterion; the others are notes.

    `kind` is a stable class name: test-vanished, test-skipped, test-xfailed, test-failed, test-weakened,
    config-relaxed, coverage-exclusion, protected-path, dependency-changed, report-mismatch, test-moved, config-added …
    """

    kind: str
    fails: bool
    file: str = ""
    node_ids: tuple[str, ...] = ()
    reason: str = ""


class Mutation(Noun):
    """What became of small faults put into the changed lines, one at a time: killed are those that a test noticed.

    `possible` is how many there could be, `total` how many of them were judged: a sample drawn with `seed`.
    `survivors` are named as `path:line: before -> after`. With a `reason`, nothing was measured, and it says why.
    """

    seed: int = 0
    possible: int = Field(0, ge=0)
    total: int = Field(0, ge=0)
    killed: int = Field(0, ge=0)
    survivors: tuple[str, ...] = ()
    report: str = ""
    reason: str = ""


class Evidence(Noun):
    """Everything the gate may look at. `integrity` is None where no change was given to look at."""

    files: tuple[EvidenceFile, ...] = ()
    runs: tuple[ToolRun, ...] = ()
    integrity: tuple[IntegrityFinding, ...] | None = None
    changed_lines: dict[str, frozenset[int]] | None = Field(
        None, description="Lines the change added or altered, by path from the repository root; None without a diff."
    )
    mutation: Mutation | None = Field(None, description="None where mutants were not asked for.")
    isolation: str = ""
    tools: dict[str, str] = Field(default_factory=dict, description="The programs that measured, and their versions.")
    looked_in: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
