"""Playwright, Lighthouse and SARIF."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest


def playwright(*tests: dict[str, object], **rest: object) -> str:
    specs = [{"title": f"t{n}", "file": "a.spec.ts", "line": 3, "tests": [test]} for n, test in enumerate(tests)]
    inner = {"title": "group", "specs": specs, "suites": []}
    return json.dumps({"config": {}, "suites": [{"title": "a.spec.ts", "specs": [], "suites": [inner]}], **rest})


def run(*statuses: str, expected: str = "passed") -> dict[str, object]:
    results = [{"status": status, "duration": 1500, "retry": n} for n, status in enumerate(statuses)]
    return {"expectedStatus": expected, "projectName": "chromium", "results": results, "status": "expected"}


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        (run("passed"), "passed"),
        (run("failed"), "failed"),
        (run("timedOut"), "failed"),
        (run("interrupted"), "failed"),
        (run("failed", "passed"), "passed"),
        (run("passed", "failed"), "failed"),
        (run("skipped", expected="skipped"), "skipped"),
        (run(), "skipped"),
        (run("failed", expected="failed"), "xfailed"),
        (run("passed", expected="failed"), "failed"),
        ({**run("passed"), "expectedStatus": None}, "failed"),
    ],
)
def test_playwright_test_ends_as_its_last_try(read, test, outcome):
    file = read(playwright(test))
    assert file.kind == "playwright"
    assert [case.outcome for case in file.cases] == [outcome]


def test_playwright_names_nested_titles_and_project(read):
    case = read(playwright(run("passed"))).cases[0]
    assert case.node_id == "a.spec.ts::group::t0 [chromium]"
    assert case.duration_seconds == 1.5


def test_playwright_error_outside_tests_counts_as_an_error(read):
    file = read(playwright(run("passed"), errors=[{"message": "SyntaxError"}]))
    assert file.tests is not None
    assert (file.tests.passed, file.tests.errors) == (1, 1)


def test_playwright_stats_that_lie_are_named(read):
    file = read(playwright(run("failed"), stats={"expected": 3, "unexpected": 0, "flaky": 0, "skipped": 0}))
    assert file.tests is not None
    assert file.tests.failed == 1
    assert len(file.problems) == 2


def test_playwright_flaky_test_is_named(read):
    assert "flaky" in read(playwright(run("failed", "passed"))).problems[0]


@pytest.mark.parametrize("broken", ['"results": 3', '"results": [3]'])
def test_playwright_of_another_shape_is_unreadable(read, broken):
    file = read(playwright(run()).replace('"results": []', broken), "playwright.json")
    assert file.tests is None
    assert file.could_be == ("playwright",)


def lighthouse(score: object, *audits: tuple[float, object], **rest: object) -> str:
    named = {f"a{n}": {"score": value, "scoreDisplayMode": "numeric"} for n, (_, value) in enumerate(audits)}
    references = [{"id": f"a{n}", "weight": weight} for n, (weight, _) in enumerate(audits)]
    category = {"score": score, "auditRefs": references}
    return json.dumps({"lighthouseVersion": "12.8.2", "categories": {"performance": category}, "audits": named, **rest})


@pytest.mark.parametrize("score", [0, 0.91, 1])
def test_lighthouse_score_is_told_as_written(read, score):
    file = read(lighthouse(score))
    assert file.lighthouse == {"performance": score}


@pytest.mark.parametrize("score", [None, -0.1, 1.5, "0.9", True, 90])
def test_lighthouse_score_that_is_none_is_null_and_named(read, score):
    file = read(lighthouse(score))
    assert file.lighthouse == {"performance": None}
    assert file.problems


def test_lighthouse_score_above_its_audits_is_recounted(read):
    file = read(lighthouse(1.0, (3, 0.5), (1, 0.1), (0, 1)))
    assert file.lighthouse == {"performance": 0.4}
    assert "its audits say 0.40" in file.problems[0]


def test_lighthouse_that_failed_itself_measured_nothing(read):
    file = read(lighthouse(0.9, runtimeError={"code": "NO_FCP", "message": "x"}))
    assert file.lighthouse == {"performance": None}


def test_lighthouse_without_categories_is_unreadable(read):
    file = read('{"lighthouseVersion": "9.0.0"}')
    assert file.lighthouse is None
    assert file.could_be == ("lighthouse",)


RULE = {"id": "R1", "properties": {"security-severity": "8.1"}, "defaultConfiguration": {"level": "note"}}


def sarif(*results: object, **run: object) -> str:
    driver = {"name": "Scanner", "rules": [RULE]}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results), **run}]})


@pytest.mark.parametrize(
    ("result", "severity"),
    [
        ({}, "medium"),
        ({"level": "error"}, "high"),
        ({"level": "note"}, "low"),
        ({"ruleId": "R1"}, "high"),
        ({"ruleIndex": 0}, "high"),
        ({"properties": {"security-severity": "9.8"}}, "critical"),
        ({"suppressions": [{"kind": "inSource", "status": "underReview"}]}, "medium"),
        ({"suppressions": []}, "medium"),
        ({"level": "mad"}, "high"),
    ],
)
def test_sarif_result_counts_with_its_severity(read, result, severity):
    file = read(sarif(result))
    assert (file.kind, file.tool, file.issues) == ("sarif", "scanner", 1)
    assert file.severities == {severity: 1}


@pytest.mark.parametrize(
    "result",
    [
        {"suppressions": [{"kind": "inSource"}]},
        {"suppressions": [{"kind": "external", "status": "accepted"}]},
        {"kind": "pass", "level": "none"},
        {"kind": "notApplicable"},
        {"baselineState": "absent"},
    ],
)
def test_sarif_result_that_is_no_open_finding_does_not_count(read, result):
    assert read(sarif(result)).issues == 0


@pytest.mark.parametrize(
    "document",
    [
        sarif(invocations=[{"executionSuccessful": False}]),
        sarif(invocations=[{}]),
        sarif(results=None),
        '{"version": "2.1.0", "runs": []}',
        '{"version": "2.1.0", "runs": [3]}',
        sarif(3),
    ],
)
def test_sarif_of_a_run_that_did_not_look_is_evidence_of_nothing(read, document):
    file = read(document, "scan.sarif")
    assert file.issues is None
    assert "sarif" in file.could_be


SHAPES: tuple[object, ...] = (None, True, -1, 1.5, 10**30, "x", "\ud800", [], {}, [[]], [None], {"a": None})
DOCUMENTS = (
    playwright(run("passed", "failed"), errors=[{"message": "x"}], stats={"expected": 1}),
    lighthouse(0.5, (1, 0.5), (2, 0.5)),
    sarif({"ruleIndex": 0, "locations": [{"physicalLocation": {"region": {"startLine": 1}}}]}, invocations=[{}]),
    '{"meta": {"branch_coverage": false}, "files": {"a": {"executed_lines": [1], "missing_lines": [2]}}, "totals": {}}',
    '{"generalDiagnostics": [{"severity": "error", "range": {"start": {"line": 1}}}], "summary": {"errorCount": 1}}',
    '[{"filePath": "a", "messages": [{"ruleId": "x"}]}]',
    '[{"filename": "a", "location": {"row": 1}, "message": "m"}]',
    '{"errors": [], "metrics": {"a": {"loc": 1}}, "results": [{"issue_severity": "LOW", "filename": "a"}]}',
    '{"dependencies": [{"name": "a", "vulns": [{"id": "x", "fix_versions": ["1"]}]}], "fixes": []}',
    '{"vulnerabilities": {"a": {"severity": "low", "via": [{"title": "x"}]}}, "metadata": {}}',
    '{"advisories": {"1": {"severity": "low", "title": "x"}}, "metadata": {"vulnerabilities": {"low": 1}}}',
    '{"error": {"summary": "x", "detail": ""}}',
)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_value_of_any_other_shape_ends_in_figures_or_in_a_reason(read, document):
    for path in list(places(json.loads(document)))[1:]:
        for shape in SHAPES:
            changed = json.loads(document)
            holder = changed
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = shape
            file = read(json.dumps(changed))
            measured = file.tests or file.coverage or file.lighthouse is not None or file.issues is not None
            assert measured or (file.problems and file.could_be)
            json.dumps([*(line.path for line in file.lines), *file.findings], ensure_ascii=False).encode()
