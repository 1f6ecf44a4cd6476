"""tests_min: enough tests passed. Skipped tests show nothing and do not count."""

from __future__ import annotations

from typing import Any

from action.gate.facts import Facts, named, why_unreadable
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed
from controlplane.counting import counted


def no_test_report(facts: Facts) -> Finding | None:
    """Why tests were not counted; None when they were."""
    unreadable = facts.unreadable("junit", "playwright")
    if unreadable:
        return not_measured(
            f"{why_unreadable(unreadable)}. Fix: run the tests again to their end.", evidence=named(unreadable)
        )
    if not facts.test_reports:
        return not_measured(f"There is no test report. {facts.looked()} Fix: name one (JUnit XML) among the reports.")
    return None


def _judge(required: Any, facts: Facts) -> Finding:
    missing = no_test_report(facts)
    if missing is not None:
        return missing
    count = facts.totals.passed
    evidence = named(facts.test_reports)
    if count >= required:
        return passed(f"{counted(count, 'test')} passed.", actual=count, evidence=evidence)
    return failed(
        f"{counted(count, 'test')} passed, {required} {'is' if required == 1 else 'are'} required. "
        f"Fix: add {counted(required - count, 'test')}.",
        actual=count,
        evidence=evidence,
    )


RULE = Rule("tests_min", "Enough tests passed.", asked("tests_min"), _judge)
