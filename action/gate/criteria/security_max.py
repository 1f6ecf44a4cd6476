"""security_max: no open finding of a security scanner (SARIF) is worse than what is accepted.

SARIF of a known linter or type checker is that tool's report, and no evidence of a security scan.
"""

from __future__ import annotations

from typing import Any

from action.gate.facts import LINTERS, TYPE_CHECKERS, Facts, named, why_unreadable
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed

_ORDER = ("none", "low", "medium", "high", "critical")
_FIX = "Fix: run a security scanner that writes SARIF and name its report among the reports."
_NOT_SCANNERS = {name for name in (*LINTERS, *TYPE_CHECKERS) if name}


def _judge(required: Any, facts: Facts) -> Finding:
    unreadable = facts.unreadable("sarif")
    reports = tuple(
        file
        for file in facts.files
        if file.kind == "sarif" and file.issues is not None and file.tool not in _NOT_SCANNERS
    )
    counts = {word: sum(report.severities.get(word, 0) for report in reports) for word in _ORDER}
    worst = max((word for word in _ORDER if counts[word]), key=_ORDER.index, default="none")
    if _ORDER.index(worst) > _ORDER.index(required):
        return failed(
            f"The worst finding is {worst}; at most {required} is accepted. Fix: the findings named below.",
            actual=worst,
            evidence=(finding for report in reports for finding in report.findings),
        )
    if unreadable:
        return not_measured(
            f"{why_unreadable(unreadable)}. Fix: run the scanner again to its end.", evidence=named(unreadable)
        )
    if not reports:
        return not_measured(f"There is no SARIF report of a security scanner. {facts.looked()} {_FIX}")
    return passed(f"The worst finding is {worst}.", actual=worst, evidence=named(reports))


RULE = Rule("security_max", "No security finding is worse than accepted.", asked("security_max"), _judge)
