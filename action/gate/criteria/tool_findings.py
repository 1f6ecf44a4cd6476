"""What lint_pass and type_check share: a report with no finding in it, and an exit code that says the same."""

from __future__ import annotations

from collections.abc import Iterator

from action.evidence.scanreport import SCANNERS
from action.gate.facts import Facts, named, why_unreadable
from action.gate.rule import Finding, failed, not_measured, passed
from controlplane.counting import counted
from controlplane.evidence import EvidenceFile


def judge_tool(what: str, purpose: str, reports: tuple[EvidenceFile, ...], facts: Facts, fix: str) -> Finding:
    """`what` names the tool in sentences, `purpose` its runs in the evidence."""
    count = sum(report.issues or 0 for report in reports)
    if count:
        found = (f"{report.tool or 'linter'}: {finding}" for report in reports for finding in report.findings)
        lines = "line" if count == 1 else "lines"
        said = f"The {what} found {counted(count, 'issue')}. Fix: the {lines} named below."
        return failed(said, actual=False, evidence=found)
    disagreements = tuple(_disagreements(what, purpose, facts))
    if disagreements:
        return failed(disagreements[0], actual=False, evidence=disagreements)
    unreadable = tuple(file for file in facts.unreadable("lint") if file.tool not in SCANNERS)
    if unreadable:
        return not_measured(f"{why_unreadable(unreadable)}. Fix: run the {what} again.", evidence=named(unreadable))
    unrun = [run for run in facts.runs(purpose) if run.exit_code is None]
    if unrun:
        return not_measured(
            f"the {what} did not run: {unrun[0].reason or 'no reason known'}. Fix that and run it again."
        )
    if not reports:
        return not_measured(f"There is no report of a {what}. {facts.looked()} {fix}")
    return passed(f"The {what} found nothing.", actual=True, evidence=named(reports))


def _disagreements(what: str, purpose: str, facts: Facts) -> Iterator[str]:
    for run in facts.runs(purpose):
        name = run.id or (run.command[0] if run.command else what)
        if run.timed_out:
            yield f"{name} was stopped after {run.duration_seconds:.0f} s. Fix: give it less to look at."
        elif run.exit_code not in (0, None):
            yield (
                f"{name} ended with exit code {run.exit_code}, while its report is empty or clean: they disagree. "
                "Fix: see the run's log for what broke."
            )
