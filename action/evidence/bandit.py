"""bandit: `--format json`. A file that it could not parse was not looked at, so the scan is no clean one."""

from __future__ import annotations

from typing import Any

from action.evidence.figures import plain_int
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.lintreport import objects
from action.evidence.scanreport import BANDIT, WORST, Found, scan_report
from action.evidence.wording import one_line
from controlplane.evidence import EvidenceFile

_SEVERITIES = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high"}


def is_bandit(document: Any) -> bool:
    return isinstance(document, dict) and "results" in document and "metrics" in document and "errors" in document


def read_bandit(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    errors = objects(document["errors"], "`errors`")
    if errors:
        first = one_line(f"{errors[0].get('filename')}: {errors[0].get('reason')}", 200)
        raise UnreadableReport(f"bandit could not look at {len(errors)} files: {first}")
    if not _lines(document["metrics"]):
        raise UnreadableReport("bandit looked at no line of code")
    return scan_report(path, BANDIT, [_found(entry) for entry in objects(document["results"], "`results`")])


def _lines(metrics: Any) -> int:
    """Lines of code, recounted over the files: a total alone shows no file."""
    files = metrics.items() if isinstance(metrics, dict) else ()
    counts = (plain_int(one.get("loc")) for name, one in files if name != "_totals" and isinstance(one, dict))
    return sum(count or 0 for count in counts)


def _found(entry: dict[str, Any]) -> Found:
    severity = _SEVERITIES.get(str(entry.get("issue_severity")), WORST)
    place = f"{str(entry.get('filename')).removeprefix('./')}:{plain_int(entry.get('line_number')) or '?'}"
    return severity, f"{place}: {severity}: {entry.get('test_id')} {entry.get('issue_text')}"
