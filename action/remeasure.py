"""Reading handed over reports once more: evidence has to say what the reports beside it say."""

from __future__ import annotations

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
        read = read_reports([folder / told.path]).files
        if len(read) != 1 or _figures(read[0]) != _figures(told):
            message = f"What was measured was refused: the evidence does not say what {told.path[:100]} says."
            raise HandoverRefused(message, "Run the whole workflow again.")


def _figures(file: EvidenceFile) -> tuple[object, ...]:
    return file.tests, file.coverage
