"""e2e_pass: every end-to-end test passed and at least one did. Playwright's JSON, or JUnit that is marked so."""

from __future__ import annotations

from typing import Any

from action.gate.facts import Facts, FailingTests, add_totals, is_e2e, named, why_unreadable
from action.gate.rule import Finding, Rule, asked_true, failed, not_measured, passed

_FIX = (
    "Fix: name Playwright's JSON report among the reports, or a JUnit report with `e2e` or `playwright` in its name or "
    "the property aicd.suite=e2e."
)


def _judge(_required: Any, facts: Facts) -> Finding:
    failing = FailingTests(facts.e2e)
    totals = add_totals(file.tests for file in facts.e2e if file.tests)
    if failing.count:
        return failed(
            f"{failing.count} of {totals.total} end-to-end tests did not pass. Fix: make them pass; the first is "
            f"{failing.first}.",
            actual=False,
            evidence=failing.told(),
        )
    unreadable = tuple(
        file for file in facts.unreadable("playwright", "junit") if "playwright" in file.could_be or is_e2e(file)
    )
    if unreadable:
        return not_measured(
            f"{why_unreadable(unreadable)}. Fix: run the tests again to their end.", evidence=named(unreadable)
        )
    unlike = _unlike(facts)
    if unlike is not None:
        return unlike
    if not totals.total:
        return not_measured(f"There is no end-to-end test in the reports. {facts.looked()}{_silent(facts)} {_FIX}")
    if not totals.passed:
        return not_measured(
            f"All {totals.total} end-to-end tests were skipped, so nothing was shown. Fix: let them run."
        )
    return passed(f"{totals.passed} of {totals.total} end-to-end tests passed.", actual=True, evidence=named(facts.e2e))


def _silent(facts: Facts) -> str:
    """What a told command left undone: an exit code shows that nothing refused, and no test."""
    silent = [run for run in facts.runs("e2e") if run.exit_code == 0 and not run.report]
    return f" {silent[0].id} ended with exit code 0 and wrote no report to $AICD_REPORT." if silent else ""


def _unlike(facts: Facts) -> Finding | None:
    """A run of ours that was stopped, did not come about, or ended otherwise than its report says."""
    for run in facts.runs("e2e"):
        if run.timed_out:
            return failed(
                f"The end-to-end tests were stopped after {run.duration_seconds:.0f} s. Fix: make them end sooner.",
                actual=False,
                evidence=(run.log,),
            )
        if run.exit_code is None:
            return not_measured(f"The end-to-end tests did not run: {run.reason or 'no reason known'}.")
        if run.exit_code != 0:
            return failed(
                f"The end-to-end run ({run.id}) ended with exit code {run.exit_code} while its report has no failing "
                "test. Fix: see its log for what broke outside the tests.",
                actual=False,
                evidence=(run.log,),
            )
    return None


RULE = Rule("e2e_pass", "Every end-to-end test passes, and at least one did.", asked_true("e2e_pass"), _judge)
