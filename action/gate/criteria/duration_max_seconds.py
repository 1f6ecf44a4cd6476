"""duration_max_seconds: how long the longest test run took.

By the clock where we ran it ourselves; else by the sum of a report's cases, whatever its header says.
"""

from __future__ import annotations

from typing import Any

from action.gate.criteria.coverage_min import exact
from action.gate.criteria.tests_min import no_test_report
from action.gate.facts import Facts, named
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed
from controlplane.evidence import EvidenceFile


def _judge(required: Any, facts: Facts) -> Finding:
    missing = no_test_report(facts)
    if missing is not None:
        return missing
    seconds = _longest(facts)
    if seconds is None:
        return not_measured(
            f"No report says how long each of its tests took. {facts.looked()}", evidence=named(facts.test_reports)
        )
    shown = round(seconds, 3)
    if exact(seconds) <= exact(required):
        return passed(f"The longest test run took {shown:g} s.", actual=shown, evidence=named(facts.test_reports))
    return failed(
        f"The longest test run took {shown:g} s, at most {required:g} s may be. Fix: make the slowest tests faster.",
        actual=shown,
        evidence=_slowest(facts),
    )


def _longest(facts: Facts) -> float | None:
    runs = [run.duration_seconds for run in facts.runs("base-tests", "change-tests")]
    durations: list[float | None] = [*runs] if runs else [_sum(report) for report in facts.test_reports]
    known = [duration for duration in durations if duration is not None]
    return max(known) if known and len(known) == len(durations) else None


def _sum(report: EvidenceFile) -> float | None:
    known = [case.duration_seconds for case in report.cases if case.duration_seconds is not None]
    return sum(known) if known and len(known) == len(report.cases) else None


def _slowest(facts: Facts) -> tuple[str, ...]:
    timed = [(case.duration_seconds or 0.0, case.node_id) for case in facts.cases]
    timed.sort(key=lambda entry: (-entry[0], entry[1]))
    return tuple(f"{name}: {seconds:g} s" for seconds, name in timed[:10])


RULE = Rule("duration_max_seconds", "The test run is fast enough.", asked("duration_max_seconds"), _judge)
