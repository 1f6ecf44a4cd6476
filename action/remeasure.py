"""Reading handed over reports once more: evidence has to say what the reports beside it say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from action.evidence import read_reports
from action.handover import HandoverRefused
from controlplane.evidence import Evidence, EvidenceFile

COMPARED = ("junit", "coverage")


def check_reports(folder: Path, evidence: Evidence) -> None:
    """Raises HandoverRefused where a count or a coverage differs from the report it is said to come from."""
    for told in evidence.files:
        if told.kind not in COMPARED or not told.path.startswith("reports/") or ".." in told.path:
            continue
        read = read_reports([folder / told.path], group=None).files
        if len(read) != 1 or not _bears_out(read[0], told):
            message = f"What was measured was refused: the evidence does not say what {told.path[:100]} says."
            raise HandoverRefused(message, "Run the whole workflow again.")


def _bears_out(read: EvidenceFile, told: EvidenceFile) -> bool:
    """Also how many tests were the base's and how many the change's own: unit_pass holds each run against its group."""
    same_groups = not told.cases or _groups(read) == _groups(told)
    return (read.tests, read.coverage) == (told.tests, told.coverage) and same_groups


def _groups(file: EvidenceFile) -> Counter[str]:
    return Counter(case.group for case in file.cases)
