"""SARIF 2.1.0: results of static analysis, by run.

The standard's own traps (OASIS SARIF 2.1.0, section numbers in brackets): a run whose tool failed is not a clean run
(3.20.14); a run without `results` looked for nothing (3.14.23); a result is suppressed only if none of its
suppressions is under review or rejected (3.27.23); a result absent from the current run is no finding (3.27.24).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from action.evidence.figures import parse_seconds, plain_int, plain_number
from action.evidence.limits import FINDINGS_KEPT, Allowance, UnreadableReport
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile

_NO_FINDING_KINDS = ("pass", "notApplicable", "informational")
_BY_LEVEL = {"error": "high", "warning": "medium", "note": "low", "none": "low"}
# GitHub's thresholds for `security-severity`, which are those of CVSS v3 (qualitative severity rating scale).
_BY_SCORE = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.0, "low"))


def is_sarif(document: Any) -> bool:
    return isinstance(document, dict) and "runs" in document and ("version" in document or "$schema" in document)


def read_sarif(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    runs = document["runs"]
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise UnreadableReport("it holds no run")
    problems, severities, findings = Problems(), dict[str, int](), list[str]()
    for run in runs:
        _check_run(run)
        for result in _open_results(run):
            severity = _severity(result, run)
            severities[severity] = severities.get(severity, 0) + 1
            findings.append(f"{_place(result)}: {severity}: {_text(result)}")
    return EvidenceFile(
        path=path,
        kind="sarif",
        issues=len(findings),
        problems=problems.told(),
        tool=", ".join(sorted({_tool_name(run) for run in runs})),
        findings=tuple(findings[:FINDINGS_KEPT]),
        severities=dict(sorted(severities.items())),
    )


def _tool_name(run: dict[str, Any]) -> str:
    return one_line(str(_in(_in(run, "tool"), "driver").get("name", "")), 80).lower()


def _check_run(run: dict[str, Any]) -> None:
    name = _tool_name(run) or "a tool without a name"
    if not isinstance(run.get("results"), list):
        raise UnreadableReport(f"the run of {name} has no results: it looked for nothing")
    invocations = run.get("invocations")
    for invocation in invocations if isinstance(invocations, list) else []:
        if isinstance(invocation, dict) and invocation.get("executionSuccessful") is not True:
            raise UnreadableReport(f"{name} did not run to its end (executionSuccessful is not true)")


def _open_results(run: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for result in run["results"]:
        if not isinstance(result, dict):
            raise UnreadableReport("a result is no object")
        if result.get("kind", "fail") in _NO_FINDING_KINDS or result.get("baselineState") == "absent":
            continue
        if not _is_suppressed(result.get("suppressions")):
            yield result


def _is_suppressed(suppressions: Any) -> bool:
    if not isinstance(suppressions, list) or not suppressions:
        return False
    return all(isinstance(one, dict) and one.get("status", "accepted") == "accepted" for one in suppressions)


def _severity(result: dict[str, Any], run: dict[str, Any]) -> str:
    rule = _rule(result, run)
    written = _in(result, "properties").get("security-severity", _in(rule, "properties").get("security-severity"))
    score = parse_seconds(written) if isinstance(written, str) else plain_number(written)
    if score is not None:
        return next(word for least, word in _BY_SCORE if score >= least or least == 0.0)
    level = result.get("level") or _in(rule, "defaultConfiguration").get("level") or "warning"
    return _BY_LEVEL.get(str(level), "high")


def _rule(result: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    rules = _in(_in(run, "tool"), "driver").get("rules")
    if not isinstance(rules, list):
        return {}
    index = plain_int(result.get("ruleIndex"))
    if index is not None and index < len(rules) and isinstance(rules[index], dict):
        found: dict[str, Any] = rules[index]
        return found
    wanted = result.get("ruleId")
    return next((rule for rule in rules if isinstance(rule, dict) and wanted and rule.get("id") == wanted), {})


def _place(result: dict[str, Any]) -> str:
    locations = result.get("locations")
    first = locations[0] if isinstance(locations, list) and locations and isinstance(locations[0], dict) else {}
    physical = _in(first, "physicalLocation")
    uri = one_line(str(_in(physical, "artifactLocation").get("uri", "?")), 200)
    return f"{uri}:{plain_int(_in(physical, 'region').get('startLine')) or '?'}"


def _text(result: dict[str, Any]) -> str:
    return one_line(f"{result.get('ruleId', '')} {_in(result, 'message').get('text', '')}", 200)


def _in(holder: dict[str, Any], key: str) -> dict[str, Any]:
    """The object at `key`, or an empty one."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}
