"""unit_pass: every test that ran passed, at least one did, and the exit codes say the same as the reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from action.gate.facts import Facts, FailingTests, add_totals, named, why_unreadable
from action.gate.rule import Finding, Rule, failed, not_measured, passed
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import ToolRun

_FIX = "Fix: write a JUnit report (pytest --junitxml=junit.xml) and name it among the reports."
_NOTHING_COLLECTED = 5  # pytest's own exit code for it
_GROUPS = {"base-tests": "base", "change-tests": "change"}
# Test commands of the project's own: their exit code can refuse, but shows nothing without a report.
_TOLD = ("unit", "command")


def _required(dod: DefinitionOfDone, _facts: Facts) -> Any:
    """Holds even when not written; only `false` asks for nothing."""
    return None if dod.unit_pass is False else True


def _judge(_required: Any, facts: Facts) -> Finding:
    failing = FailingTests(facts.junit)
    if failing.count:
        total = sum(file.tests.total for file in facts.junit if file.tests)
        return failed(
            f"{failing.count} of {total} tests did not pass. Fix: make them pass; the first is {failing.first}.",
            actual=False,
            evidence=failing.told(),
        )
    stopped = [run for run in facts.runs(*_GROUPS, *_TOLD) if run.timed_out]
    if stopped:
        seconds = f"{stopped[0].duration_seconds:.0f}"
        return failed(f"The tests were stopped after {seconds} s. Fix: find the test that does not end.", actual=False)
    unreadable = facts.unreadable("junit")
    if unreadable:
        fix = "Fix: run the tests again to their end."
        return not_measured(f"{why_unreadable(unreadable)}. {fix}", evidence=named(unreadable))
    disagreements = tuple(sentence for run in facts.runs(*_GROUPS) for sentence in _disagreement(run, facts))
    disagreements += tuple(_refusal(run) for run in facts.runs(*_TOLD) if run.exit_code not in (0, None))
    if disagreements:
        return failed(disagreements[0], actual=False, evidence=disagreements)
    return _nothing_failed(facts)


def _nothing_failed(facts: Facts) -> Finding:
    unrun = [run for run in facts.runs(*_GROUPS, *_TOLD) if run.exit_code is None]
    if unrun:
        return not_measured(
            f"the tests did not run: {unrun[0].reason or 'no reason known'}. Fix that and run them again."
        )
    totals = add_totals(file.tests for file in facts.unit if file.tests)
    if not facts.unit:
        return not_measured(f"There is no JUnit report. {facts.looked()}{_told(facts)}{_environment(facts)} {_FIX}")
    if not totals.total:
        return not_measured(
            f"There is no test in the reports. Fix: add tests, or name the right report. {facts.looked()}"
        )
    if not totals.passed:
        return not_measured(f"All {totals.total} tests were skipped, so nothing was shown. Fix: let them run.")
    skipped = f", {totals.skipped} skipped" if totals.skipped else ""
    return passed(f"{totals.passed} of {totals.total} tests passed{skipped}.", actual=True, evidence=named(facts.junit))


def _disagreement(run: ToolRun, facts: Facts) -> Iterator[str]:
    """A sentence where the exit code of a run is not what its report says."""
    count = sum(1 for case in facts.cases if case.group == _GROUPS[run.purpose])
    if run.exit_code == 0 and not count:
        yield (
            f"the {run.purpose} run ended with exit code 0 and left no test case: report and exit code disagree. "
            "Fix: let the test run come to its own end."
        )
    elif run.exit_code not in (0, None) and not (run.exit_code == _NOTHING_COLLECTED and not count):
        yield (
            f"the {run.purpose} run ended with exit code {run.exit_code}, while its report has no failing test: they "
            "disagree. Fix: see the run's log for what broke outside the tests."
        )


def _refusal(run: ToolRun) -> str:
    command = run.command[-1] if run.command else run.id
    return f"the test command `{command}` ({run.id}) ended with exit code {run.exit_code}. Fix: see its log, {run.log}."


def _told(facts: Facts) -> str:
    unreported = [run for run in facts.runs("unit") if run.exit_code == 0 and not run.report]
    return (
        f" {unreported[0].id} ended with exit code 0, which shows no test; let it write JUnit XML to $AICD_REPORT."
        if unreported
        else ""
    )


def _environment(facts: Facts) -> str:
    broken = [run for run in facts.runs("environment", "collect") if run.exit_code != 0]
    return f" The {broken[0].purpose} step failed: {broken[0].reason or 'see its log'}." if broken else ""


RULE = Rule("unit_pass", "Every unit test passes, and at least one did.", _required, _judge)
