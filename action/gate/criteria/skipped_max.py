"""skipped_max: not too many tests were skipped. Expected failures (xfail) count as skipped: they prove nothing."""

from __future__ import annotations

from typing import Any

from action.gate.criteria.tests_min import no_test_report
from action.gate.facts import Facts, named
from action.gate.rule import Finding, Rule, asked, failed, passed


def _judge(required: Any, facts: Facts) -> Finding:
    missing = no_test_report(facts)
    if missing is not None:
        return missing
    count = facts.totals.skipped
    if count <= required:
        return passed(f"{count} tests were skipped.", actual=count, evidence=named(facts.test_reports))
    skipped = (case.node_id for case in facts.cases if case.outcome in ("skipped", "xfailed"))
    return failed(
        f"{count} tests were skipped, at most {required} may be. Fix: let them run.", actual=count, evidence=skipped
    )


RULE = Rule("skipped_max", "Not too many tests are skipped.", asked("skipped_max"), _judge)
