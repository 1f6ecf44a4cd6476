"""Security scanners: findings by severity, the worst where none is told, and no clean scan of one that failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

BANDIT_ENTRY = {"filename": "a.py", "line_number": 2, "issue_severity": "HIGH", "issue_text": "t", "test_id": "B602"}


def bandit(*severities: str, errors: tuple[Any, ...] = (), lines: int = 3) -> dict[str, Any]:
    results = [{**BANDIT_ENTRY, "issue_severity": severity} for severity in severities]
    metrics = {"a.py": {"loc": lines}, "_totals": {"loc": 9, "SEVERITY.HIGH": 0}}
    return {"errors": list(errors), "generated_at": "x", "metrics": metrics, "results": results}


VULNERABLE = {"name": "jinja2", "version": "2.4", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.11.3"]}]}
SOUND = {"name": "six", "version": "1.17", "vulns": []}
SKIPPED = {"name": "own", "skip_reason": "Dependency not found on PyPI and could not be audited: own (1.0)"}
NPM_6 = {
    "actions": [],
    "advisories": {
        "118": {"severity": "high", "module_name": "minimatch", "title": "ReDoS", "url": "u", "findings": []},
        "577": {"severity": "moderate", "module_name": "lodash", "title": "Pollution", "url": "u"},
    },
    "metadata": {"vulnerabilities": {"info": 0, "low": 0, "moderate": 3, "high": 1, "critical": 0}},
}
NPM_7 = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "mkdirp": {"name": "mkdirp", "severity": "critical", "via": ["minimist"], "range": "0.4 - 0.5"},
        "minimist": {"name": "minimist", "severity": "info", "via": [{"title": "Pollution", "severity": "info"}]},
    },
    "metadata": {"vulnerabilities": {"info": 1, "critical": 1, "total": 2}, "dependencies": {"total": 5}},
}


@pytest.mark.parametrize(
    ("document", "tool", "severities"),
    [
        (bandit(), "bandit", {}),
        (bandit("LOW", "MEDIUM", "HIGH"), "bandit", {"high": 1, "low": 1, "medium": 1}),
        (bandit("UNDEFINED", "severe"), "bandit", {"critical": 2}),
        ({"dependencies": [SOUND], "fixes": []}, "pip-audit", {}),
        ({"dependencies": [SOUND, VULNERABLE], "fixes": []}, "pip-audit", {"critical": 1}),
        ([VULNERABLE, SOUND], "pip-audit", {"critical": 1}),
        (NPM_6, "npm-audit", {"high": 1, "medium": 1}),
        ({**NPM_6, "advisories": {}, "metadata": {"vulnerabilities": {"low": 0}}}, "npm-audit", {}),
        (NPM_7, "npm-audit", {"critical": 1, "low": 1}),
        (
            {"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {"vulnerabilities": {"total": 0}}},
            "npm-audit",
            {},
        ),
    ],
)
def test_findings_are_counted_by_severity(read, document, tool, severities):
    file = read(json.dumps(document), "scan.json")
    assert (file.kind, file.tool, file.severities) == ("lint", tool, severities), file.problems
    assert file.issues == sum(severities.values())


def test_worst_finding_is_named_first(read):
    file = read(json.dumps(bandit("LOW", "HIGH")))
    assert file.findings[0] == "a.py:2: high: B602 t"
    assert read(json.dumps([VULNERABLE])).findings == ("jinja2 2.4: PYSEC-1 (no severity is told), fixed in 2.11.3",)
    assert read(json.dumps(NPM_7)).findings[0] == "mkdirp 0.4 - 0.5: critical: by minimist"


def test_skipped_dependency_is_named_as_not_audited(read):
    file = read(json.dumps({"dependencies": [SOUND, SKIPPED], "fixes": []}))
    assert file.issues == 0
    assert file.problems == ("1 dependencies were not audited: own",)


@pytest.mark.parametrize(
    ("document", "tool", "reason"),
    [
        (bandit(errors=({"filename": "b.py", "reason": "syntax error"},)), "bandit", "b.py: syntax error"),
        (bandit(lines=0), "bandit", "no line of code"),
        ({**bandit(), "results": None}, "bandit", "no list"),
        ({**bandit(), "metrics": []}, "bandit", "no line of code"),
        ({"dependencies": [SKIPPED], "fixes": []}, "pip-audit", "none of 1 dependencies"),
        ({"dependencies": [], "fixes": []}, "", "none of 0 dependencies"),
        ({"dependencies": [{"name": "a", "vulns": 3}], "fixes": []}, "pip-audit", "no list"),
        ({"error": {"code": "ENOLOCK", "summary": "no lock", "detail": ""}}, "npm-audit", "could not audit: no lock"),
        ({"message": "405", "error": {"summary": "", "detail": ""}}, "npm-audit", "could not audit: 405"),
        ({**NPM_7, "vulnerabilities": {}}, "npm-audit", "cut off or altered"),
        ({**NPM_6, "advisories": {}}, "npm-audit", "cut off or altered"),
        ({**NPM_7, "vulnerabilities": []}, "npm-audit", "no object"),
    ],
)
def test_scan_that_failed_is_evidence_of_nothing(read, document, tool, reason):
    file = read(json.dumps(document), f"{tool or 'pip-audit'}.json")
    assert file.issues is None
    assert reason in file.problems[0]
    assert file.could_be == ("lint",)
    assert file.tool in (tool, "pip-audit")


def test_document_of_something_else_is_no_scan(read):
    for document in ({"error": "x"}, {"dependencies": ["a"]}, {"results": []}, [{"name": "a"}], {"metadata": {}}):
        assert read(json.dumps(document)).tool == ""
