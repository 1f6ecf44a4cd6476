"""npm audit: `--json` of npm 6 (advisories) and of npm 7 and newer (vulnerable packages, `auditReportVersion` 2).

An answer of the registry that is an error is no audit: npm writes it as JSON too, in the place of the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from action.evidence.figures import plain_int
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.scanreport import NPM_AUDIT, WORST, Found, scan_report
from action.evidence.wording import one_line
from controlplane.evidence import EvidenceFile

_SEVERITIES = {"info": "low", "low": "low", "moderate": "medium", "high": "high", "critical": "critical"}


def is_npm_audit(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    report = isinstance(document.get("metadata"), dict) and ("vulnerabilities" in document or "advisories" in document)
    return report or _is_failure(document.get("error"))


def read_npm_audit(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    if "error" in document:
        raise UnreadableReport(f"npm could not audit: {_reason(document)}")
    told = document.get("advisories", document.get("vulnerabilities"))
    if not isinstance(told, dict) or not all(isinstance(entry, dict) for entry in told.values()):
        raise UnreadableReport("its list of vulnerabilities is no object of objects")
    _check_sum(document, told)
    return scan_report(path, NPM_AUDIT, [_found(name, entry) for name, entry in told.items()])


def _check_sum(document: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """npm 7's own sum counts packages, as we do; npm 6's counts each place where one is installed."""
    sums = document["metadata"].get("vulnerabilities")
    stated = plain_int(sums.get("total")) if isinstance(sums, dict) else None
    if "advisories" not in document and stated is not None and stated != len(told):
        raise UnreadableReport(f"npm says {stated} vulnerable packages, but {len(told)} are listed: cut off or altered")
    if "advisories" in document and isinstance(sums, dict) and not told and any(map(plain_int, sums.values())):
        raise UnreadableReport("npm says that there are vulnerabilities, but none is listed: cut off or altered")


def _found(name: str, entry: Mapping[str, Any]) -> Found:
    severity = _SEVERITIES.get(str(entry.get("severity")), WORST)
    if "title" in entry:  # npm 6: the key is the advisory's number
        return severity, f"{entry.get('module_name')}: {severity}: {entry.get('title')} {entry.get('url', '')}"
    return severity, f"{name} {entry.get('range', '')}: {severity}: {_titles(entry.get('via'))}"


def _titles(via: Any) -> str:
    """An advisory by its title; a package that is vulnerable only by another one, by that one's name."""
    entries = via if isinstance(via, list) else []
    told = [str(one.get("title")) if isinstance(one, dict) else f"by {one}" for one in entries]
    return "; ".join(dict.fromkeys(told))


def _is_failure(error: Any) -> bool:
    return isinstance(error, dict) and "summary" in error and "detail" in error


def _reason(document: Mapping[str, Any]) -> str:
    error = document["error"]
    told = (error.get("summary") or error.get("code")) if isinstance(error, dict) else error
    return one_line(str(told or document.get("message") or "no reason told"), 200)
