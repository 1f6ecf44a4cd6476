"""coverage_min: the share of covered lines of non-test code, over all reports, compared as exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from action.gate.coverage import Coverage
from action.gate.facts import Facts, named, why_unreadable
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed
from controlplane.counting import counted

_FIX = "Fix: write a coverage report (pytest --cov --cov-report=xml) and name it among the reports."


def exact(figure: Any) -> Fraction:
    """The figure as it was written: 0.8 is four fifths here, which no binary float is."""
    return Fraction(repr(figure)) if isinstance(figure, float) else Fraction(figure)


def missing_evidence(facts: Facts) -> Finding | None:
    """Why coverage was not measured; None when it was."""
    coverage = facts.coverage
    unreadable = facts.unreadable("coverage")
    if unreadable:
        return not_measured(
            f"{why_unreadable(unreadable)}. Fix: write the coverage report again.", evidence=named(unreadable)
        )
    if not coverage.reports:
        return not_measured(f"There is no coverage report. {facts.looked()} {_FIX}")
    if coverage.share is None:
        left_out = f" ({counted(coverage.tests_left_out, 'test file')} left out)" if coverage.tests_left_out else ""
        return not_measured(
            f"The coverage reports hold no line of non-test code{left_out}. {facts.looked()} {_FIX}",
            evidence=named(coverage.reports),
        )
    return None


def _judge(required: Any, facts: Facts) -> Finding:
    missing = missing_evidence(facts)
    if missing is not None:
        return missing
    coverage = facts.coverage
    assert coverage.share is not None  # else it was not measured
    are = "line of non-test code is" if coverage.total == 1 else "lines of non-test code are"
    found = f"{coverage.covered} of {coverage.total} {are} covered"
    evidence = (*named(coverage.reports), *coverage.conflicts)
    if coverage.share >= exact(required):
        return passed(f"{found}{_left_out(coverage)}.", actual=coverage.ratio, evidence=evidence)
    return failed(
        f"{found}{_left_out(coverage)}: {_short(coverage, exact(required))}. Fix: test the lines named below.",
        actual=coverage.ratio,
        evidence=(*coverage.missing_lines()[:15], *evidence),
    )


def _left_out(coverage: Coverage) -> str:
    return f" ({counted(coverage.tests_left_out, 'test file')} left out)" if coverage.tests_left_out else ""


def _short(coverage: Coverage, required: Fraction) -> str:
    wanted = -(-required.numerator * coverage.total // required.denominator)
    more = wanted - coverage.covered
    return f"{more} more {'is' if more == 1 else 'are'} needed for {float(required):g}"


RULE = Rule("coverage_min", "Enough lines of non-test code are covered by tests.", asked("coverage_min"), _judge)
