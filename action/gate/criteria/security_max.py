"""security_max: no open finding of a security scanner is worse than what is accepted.

A scanner's report is SARIF, or the JSON of bandit, pip-audit or npm audit. SARIF of a known linter or type checker is
that tool's report, and no evidence of a security scan. A scanner that verify started and that came to no end was not
measured, whatever the others say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from action.evidence.scanreport import SCANNERS
from action.gate.facts import LINTERS, TYPE_CHECKERS, Facts, named, why_unreadable
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed
from controlplane.evidence import EvidenceFile, ToolRun

_ORDER = ("none", "low", "medium", "high", "critical")
_FIX = (
    "Fix: run a security scanner and name its report among the reports: SARIF, or the JSON of bandit, pip-audit or "
    "npm audit."
)
_NOT_SCANNERS = {name for name in (*LINTERS, *TYPE_CHECKERS) if name}
# 1 is how all three say that they found something, which is the report's to tell.
_CAME_TO_ITS_END = (0, 1)


def _judge(required: Any, facts: Facts) -> Finding:
    reports = tuple(file for file in facts.files if _is_scan(file) and file.issues is not None)
    counts = {word: sum(report.severities.get(word, 0) for report in reports) for word in _ORDER}
    worst = max((word for word in _ORDER if counts[word]), key=_ORDER.index, default="none")
    if _ORDER.index(worst) > _ORDER.index(required):
        return failed(
            f"The worst finding is {worst}; at most {required} is accepted. Fix: the findings named below.",
            actual=worst,
            evidence=(finding for report in reports for finding in report.findings),
        )
    unreadable = (*facts.unreadable("sarif"), *(file for file in facts.unreadable("lint") if file.tool in SCANNERS))
    if unreadable:
        return not_measured(
            f"{why_unreadable(unreadable)}. Fix: run the scanner again to its end.", evidence=named(unreadable)
        )
    unfinished = tuple(_unfinished(facts.runs("security"), reports))
    if unfinished:
        return not_measured(unfinished[0], evidence=unfinished)
    if not reports:
        return not_measured(f"There is no report of a security scanner. {facts.looked()} {_FIX}")
    return passed(f"The worst finding is {worst}.", actual=worst, evidence=named(reports))


def _is_scan(file: EvidenceFile) -> bool:
    return (file.kind == "sarif" and file.tool not in _NOT_SCANNERS) or (file.kind == "lint" and file.tool in SCANNERS)


def _unfinished(runs: tuple[ToolRun, ...], reports: tuple[EvidenceFile, ...]) -> Iterator[str]:
    """A sentence for each scanner whose exit code and report do not make a scan together."""
    by_path = {report.path: report for report in reports}
    for run in runs:
        report = by_path.get(run.report)
        ended = f"{run.id} ended with exit code {run.exit_code}"
        if run.exit_code is None:
            yield f"{run.id} did not run to its end: {run.reason or 'no reason known'}. Fix that and run it again."
        elif run.exit_code not in _CAME_TO_ITS_END or report is None:
            yield f"{ended} and left no report of a scan. Fix: see its log, {run.log}."
        elif run.exit_code and not report.issues:
            yield f"{ended}, while its report is clean. Fix: see its log, {run.log}."


RULE = Rule("security_max", "No security finding is worse than accepted.", asked("security_max"), _judge)
