"""integrity: nothing that judges was weakened by the change. Found by verify; here it is only held against the DoD.

Holds by default wherever there was a change to look at; with reports alone it is judged only when written.
"""

from __future__ import annotations

from typing import Any

from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, failed, not_measured, passed
from controlplane.counting import counted
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import IntegrityFinding


def _required(dod: DefinitionOfDone, facts: Facts) -> Any:
    if dod.integrity is None:
        return None if facts.evidence.integrity is None else True
    return dod.integrity or None


def _judge(_required: Any, facts: Facts) -> Finding:
    findings = facts.evidence.integrity
    if findings is None:
        return not_measured(
            "No change was given to look at. Fix: name the repository and the base: --repo PATH --base REF."
        )
    ordered = sorted(findings, key=lambda finding: (not finding.fails, finding.kind, finding.file, finding.node_ids))
    breaking = [finding for finding in ordered if finding.fails]
    evidence = tuple(_as_text(finding) for finding in ordered)
    if breaking:
        kinds = ", ".join(sorted({finding.kind for finding in breaking}))
        return failed(
            f"{counted(len(breaking), 'finding')}: {kinds}. Fix: undo what is named below, or let a maintainer "
            "allow it in the base branch's .aicd.yml.",
            actual=False,
            evidence=evidence,
        )
    notes = f"; {counted(len(ordered), 'note')}" if ordered else ""
    return passed(f"Nothing that judges was weakened{notes}.", actual=True, evidence=evidence)


def _as_text(finding: IntegrityFinding) -> str:
    where = ", ".join((finding.file, *finding.node_ids[:10])).strip(", ")
    more = f" and {len(finding.node_ids) - 10} more" if len(finding.node_ids) > 10 else ""
    note = "" if finding.fails else "note: "
    return f"{note}{finding.kind}: {where}{more}{': ' if where else ''}{finding.reason}"


RULE = Rule("integrity", "Nothing that judges was weakened.", _required, _judge)
