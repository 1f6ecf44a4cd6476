"""diff_coverage_min: of the lines the change added or altered, the share that tests cover.

Changed lines that no report knows as lines of code (blank ones, comments) are not counted. A changed source file that
no report knows at all counts with every changed line missing: it was never imported by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

from action.gate.coverage import is_test_path, tell_gap
from action.gate.criteria.coverage_min import exact, missing_evidence
from action.gate.facts import Facts, named
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed
from controlplane.counting import counted
from controlplane.evidence import FileCoverage


def _judge(required: Any, facts: Facts) -> Finding:
    changed = facts.evidence.changed_lines
    if changed is None:
        return not_measured(
            "No change was given to look at. Fix: name the repository and the base (--repo PATH --base REF), "
            "or let aicd verify do it."
        )
    missing = missing_evidence(facts)
    if missing is not None:
        return missing
    covered, uncovered = count_changed_lines(changed, facts)
    total = covered + sum(len(lines) for _, lines in uncovered)
    if not total:
        return passed(
            "Nothing to measure: the change adds no line of code.", actual=None, evidence=named(facts.coverage.reports)
        )
    share = Fraction(covered, total)
    found = f"{covered} of {counted(total, 'changed line')} {'is' if total == 1 else 'are'} covered"
    if share >= exact(required):
        return passed(f"{found}.", actual=round(float(share), 6), evidence=named(facts.coverage.reports))
    return failed(
        f"{found}, {float(exact(required)):g} is required. Fix: test the lines named below.",
        actual=round(float(share), 6),
        evidence=(tell_gap(path, lines) for path, lines in uncovered),
    )


def count_changed_lines(
    changed: dict[str, frozenset[int]], facts: Facts
) -> tuple[int, list[tuple[str, frozenset[int]]]]:
    """How many changed lines of code tests cover, and by path those that none does."""
    covered = 0
    uncovered: list[tuple[str, frozenset[int]]] = []
    suffixes = {PurePosixPath(file.path).suffix for file in facts.coverage.files}
    for path, lines in sorted(changed.items()):
        if is_test_path(path) or not lines:
            continue
        known = _file_of(path, facts.coverage.files)
        if known is None:
            missing = lines if PurePosixPath(path).suffix in suffixes else frozenset[int]()
        else:
            covered += len(lines & known.covered)
            missing = lines & known.missing
        if missing:
            uncovered.append((path, missing))
    return covered, uncovered


def _file_of(path: str, files: tuple[FileCoverage, ...]) -> FileCoverage | None:
    """The same file in the reports, which may write it from another root; only where one alone fits."""
    exactly = [file for file in files if file.path == path]
    alike = exactly or list(_ending_alike(path, files))
    return alike[0] if len(alike) == 1 else None


def _ending_alike(path: str, files: tuple[FileCoverage, ...]) -> Iterator[FileCoverage]:
    for file in files:
        if file.path.endswith("/" + path) or path.endswith("/" + file.path):
            yield file


RULE = Rule(
    "diff_coverage_min", "Enough of the changed lines are covered by tests.", asked("diff_coverage_min"), _judge
)
