"""pip-audit: `--format json`, as an object since 2.0 and as a list before it.

It knows of no severity, so every vulnerability is counted as the worst. A dependency that was skipped was not audited:
pip-audit itself ends with "no known vulnerabilities found" when it was able to audit none.
"""

from __future__ import annotations

from typing import Any

from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.lintreport import objects
from action.evidence.scanreport import PIP_AUDIT, WORST, Found, scan_report
from action.evidence.wording import one_line
from controlplane.evidence import EvidenceFile

_SKIPPED_NAMED = 5


def is_pip_audit(document: Any) -> bool:
    dependencies = document.get("dependencies") if isinstance(document, dict) else document
    if isinstance(document, dict) and isinstance(dependencies, list) and "fixes" in document:
        return True
    return isinstance(dependencies, list) and bool(dependencies) and _is_dependency(dependencies[0])


def _is_dependency(entry: Any) -> bool:
    return isinstance(entry, dict) and "name" in entry and ("vulns" in entry or "skip_reason" in entry)


def read_pip_audit(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    listed = document["dependencies"] if isinstance(document, dict) else document
    dependencies = objects(listed, "`dependencies`")
    audited = [one for one in dependencies if "vulns" in one]
    skipped = [one for one in dependencies if "vulns" not in one]
    if not audited:
        reason = f": {one_line(str(skipped[0].get('skip_reason')), 150)}" if skipped else ""
        raise UnreadableReport(f"pip-audit could audit none of {len(dependencies)} dependencies{reason}")
    found = [_found(one, vulnerability) for one in audited for vulnerability in objects(one["vulns"], "`vulns`")]
    return scan_report(path, PIP_AUDIT, found, *_not_audited(skipped))


def _found(dependency: dict[str, Any], vulnerability: dict[str, Any]) -> Found:
    fixes = vulnerability.get("fix_versions")
    fixed = f", fixed in {', '.join(map(str, fixes))}" if isinstance(fixes, list) and fixes else ""
    name = f"{dependency['name']} {dependency.get('version')}" if "name" in dependency else "a dependency"
    return WORST, f"{name}: {vulnerability.get('id')} (no severity is told){fixed}"


def _not_audited(skipped: list[dict[str, Any]]) -> tuple[str, ...]:
    if not skipped:
        return ()
    names = ", ".join(str(one.get("name")) for one in skipped[:_SKIPPED_NAMED])
    return (f"{len(skipped)} dependencies were not audited: {names}",)
