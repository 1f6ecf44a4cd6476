"""What the readers of security scanners share: findings counted by severity, the worst where none is told.

The words are those of `security_max`. A scanner's own words and ours:

- bandit: LOW, MEDIUM, HIGH as they are; UNDEFINED is critical
- npm audit: info and low are low, moderate is medium, high and critical as they are
- pip-audit: knows of no severity, so each vulnerability is critical
- any word that is not in a scanner's list is critical

A scanner that failed, or looked at nothing, is no clean scan: its report is evidence of nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from action.evidence.limits import FINDINGS_KEPT
from action.evidence.wording import one_line
from controlplane.evidence import EvidenceFile

BANDIT, PIP_AUDIT, NPM_AUDIT = "bandit", "pip-audit", "npm-audit"
SCANNERS = (BANDIT, PIP_AUDIT, NPM_AUDIT)
WORST = "critical"

Found = tuple[str, str]
"""A severity in our words, and a sentence that says where and what."""


def scan_report(path: str, tool: str, found: Sequence[Found], *problems: str) -> EvidenceFile:
    """One report: every finding is an issue, and the worst ones are named first."""
    order = (WORST, "high", "medium", "low")
    ordered = sorted(found, key=lambda one: order.index(one[0]))
    return EvidenceFile(
        path=path,
        kind="lint",
        issues=len(found),
        problems=tuple(one_line(problem) for problem in problems),
        tool=tool,
        findings=tuple(one_line(sentence) for _, sentence in ordered[:FINDINGS_KEPT]),
        severities=dict(sorted(Counter(severity for severity, _ in found).items())),
    )
