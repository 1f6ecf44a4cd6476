"""Each criterion: when it passes, when it fails, and when it was not measured."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.evidence import EvidenceFile, IntegrityFinding, ToolRun
from controlplane.plan import Plan

from .conftest import coverage, junit, lint, named_cases, unreadable


def run(purpose: str, exit_code: int | None, **rest: Any) -> ToolRun:
    return ToolRun.model_validate({"purpose": purpose, "exit_code": exit_code, **rest})


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ((junit("passed"),), "passed"),
        ((junit("passed", "skipped", "xfailed"),), "passed"),
        ((junit("passed", "failed"),), "failed"),
        ((junit("passed"), junit("error", path="b.xml")), "failed"),
        ((junit("passed"), junit("failed", path="e2e/b.xml")), "failed"),
        ((junit("skipped", "xfailed"),), "not_measured"),
        ((junit(),), "not_measured"),
        ((), "not_measured"),
        ((coverage(a_py=({1}, set())),), "not_measured"),
        ((junit("passed", path="e2e/junit.xml"),), "not_measured"),
        ((junit("passed"), unreadable("junit", "coverage")), "not_measured"),
        ((junit("failed"), unreadable("junit")), "failed"),
        ((junit("passed"), unreadable("lint")), "passed"),
    ],
)
def test_unit_pass_by_reports(criterion, files, status):
    assert criterion("unit_pass", True, *files).status == status


@pytest.mark.parametrize(
    ("files", "runs", "status"),
    [
        ((junit("passed", group="base"),), (run("base-tests", 0),), "passed"),
        ((junit("passed", group="base"),), (run("base-tests", 1),), "failed"),
        ((junit("passed", group="base"),), (run("base-tests", 0), run("change-tests", 0)), "failed"),
        ((junit("passed", group="base"),), (run("base-tests", 0), run("change-tests", 5)), "passed"),
        ((junit("passed", group="base"), junit(group="change", path="c.xml")), (run("change-tests", 4),), "failed"),
        ((junit("passed", group="base"),), (run("base-tests", None, reason="killed"),), "not_measured"),
        ((junit("passed", group="base"),), (run("base-tests", None, timed_out=True, duration_seconds=9),), "failed"),
        ((unreadable("junit"),), (run("base-tests", 1),), "not_measured"),
        ((junit("passed", group="base", path="e2e/x.xml"),), (run("base-tests", 0),), "passed"),
    ],
)
def test_unit_pass_holds_exit_codes_against_reports(criterion, files, runs, status):
    assert criterion("unit_pass", True, *files, runs=runs).status == status


def test_unit_pass_names_the_environment_that_broke(criterion):
    found = criterion("unit_pass", True, runs=(run("environment", 1, reason="no such package"),))
    assert "no such package" in found.reason


@pytest.mark.parametrize(
    ("required", "hit", "missed", "status"),
    [
        (0.8, 4, 1, "passed"),
        (0.8, 79, 21, "failed"),
        (0.8, 7_999_999, 2_000_001, "failed"),
        (0.29, 29, 71, "passed"),
        (0.07, 7, 93, "passed"),
        (0.1, 1, 9, "passed"),
        (1, 5, 0, "passed"),
        (1.0, 999, 1, "failed"),
        (0, 0, 5, "passed"),
    ],
)
def test_coverage_min_compares_exact_fractions(criterion, required, hit, missed, status):
    scale = 1 if hit < 1000 else 100_000
    lines = (set(range(hit // scale)), set(range(-missed // scale, 0)))
    if scale > 1:
        lines = (set(range(79)), set(range(-21, 0)))
    assert criterion("coverage_min", required, coverage(a_py=lines)).status == status


def test_coverage_min_joins_reports_line_by_line(criterion):
    found = criterion("coverage_min", 1, coverage("a.xml", m_py=({1}, {2})), coverage("b.xml", m_py=({2}, {1})))
    assert (found.status, found.actual) == ("passed", 1.0)


def test_coverage_min_leaves_test_code_out(criterion):
    found = criterion("coverage_min", 0.5, coverage(a_py=({1}, {2, 3}), tests__test_a_py=(set(range(50)), set())))
    assert (found.status, found.actual) == ("failed", 0.333333)
    assert "1 test file left out" in found.reason


def test_coverage_min_of_test_code_alone_is_not_measured(criterion):
    assert criterion("coverage_min", 0.5, coverage(tests__test_a_py=({1}, set()))).status == "not_measured"


def test_coverage_min_names_missing_lines_and_how_many_more_are_needed(criterion):
    found = criterion("coverage_min", 0.9, coverage(a_py=({1, 2}, {3, 4, 5, 9})))
    assert "4 more are needed for 0.9" in found.reason
    assert found.evidence[0] == "a.py: lines 3-5, 9 are not covered"


def test_coverage_min_names_reports_of_different_code(criterion):
    found = criterion("coverage_min", 0.1, coverage("a.xml", m_py=({1}, {2})), coverage("b.xml", m_py=({1}, {5})))
    assert found.actual == 0.333333
    assert any("b.xml has other lines to cover in m.py" in line for line in found.evidence)


@pytest.mark.parametrize("files", [(), (coverage(),), (coverage(a_py=({1}, set())), unreadable("coverage"))])
def test_coverage_min_without_readable_lines_is_not_measured(criterion, files):
    found = criterion("coverage_min", 0, *files)
    assert (found.status, found.actual) == ("not_measured", None)


@pytest.mark.parametrize(
    ("changed", "status", "actual"),
    [
        ({"src/a.py": {1, 2}}, "failed", 0.5),
        ({"src/a.py": {1}}, "passed", 1.0),
        ({"src/a.py": {99}}, "passed", None),
        ({"README.md": {1}}, "passed", None),
        ({"src/new.py": {1, 2}}, "failed", 0.0),
        ({"tests/test_a.py": {1}}, "passed", None),
        (None, "not_measured", None),
    ],
)
def test_diff_coverage_min_counts_changed_lines_alone(criterion, changed, status, actual):
    lines = None if changed is None else {path: frozenset(numbers) for path, numbers in changed.items()}
    found = criterion("diff_coverage_min", 0.9, coverage(a_py=({1}, {2, 3})), changed_lines=lines)
    assert (found.status, found.actual) == (status, actual)


@pytest.mark.parametrize(
    ("required", "count", "status"), [(2, 2, "passed"), (3, 2, "failed"), (0, 0, "passed"), (10**9, 2, "failed")]
)
def test_tests_min_counts_passed_tests(criterion, required, count, status):
    found = criterion("tests_min", required, junit(*["passed"] * count, "skipped"))
    assert (found.status, found.actual) == (status, count)


def test_numbers_agree_with_their_nouns(criterion):
    assert criterion("tests_min", 2, junit("passed")).reason == ("1 test passed, 2 are required. Fix: add 1 test.")
    assert criterion("tests_min", 1, junit("skipped")).reason == "0 tests passed, 1 is required. Fix: add 1 test."
    gap = criterion("diff_coverage_min", 0.9, coverage(a_py=({1}, {2})), changed_lines={"a.py": frozenset({2})})
    assert gap.reason.startswith("0 of 1 changed line is covered, ")
    assert gap.evidence == ("a.py: line 2 is not covered",)


def test_skipped_max_counts_expected_failures_too(criterion):
    assert criterion("skipped_max", 1, junit("passed", "skipped", "xfailed")).status == "failed"
    assert criterion("skipped_max", 2, junit("passed", "skipped", "xfailed")).actual == 2


@pytest.mark.parametrize("key", ["tests_min", "skipped_max", "duration_max_seconds"])
@pytest.mark.parametrize("files", [(), (junit("passed", seconds=0.1), unreadable("junit"))])
def test_counting_without_every_report_readable_is_not_measured(criterion, key, files):
    assert criterion(key, 1, *files).status == "not_measured"


@pytest.mark.parametrize(
    ("files", "runs", "status"),
    [
        ((junit("passed", "passed", seconds=0.5),), (), "passed"),
        ((junit("passed", "passed", seconds=0.6),), (), "failed"),
        ((junit("passed", seconds=None),), (), "not_measured"),
        ((junit("passed", seconds=0.1),), (run("base-tests", 0, duration_seconds=7.0),), "failed"),
    ],
)
def test_duration_by_the_clock_else_by_the_cases(criterion, files, runs, status):
    assert criterion("duration_max_seconds", 1, *files, runs=runs).status == status


@pytest.mark.parametrize(
    ("key", "tool", "other", "purpose"),
    [("lint_pass", "ruff", "mypy", "lint"), ("type_check", "mypy", "ruff", "types")],
)
def test_tool_findings_pass_only_when_clean_and_agreed(criterion, key, tool, other, purpose):
    def status(*files: EvidenceFile, **rest: Any) -> str:
        return criterion(key, True, *files, **rest).status

    assert status(lint(tool, 0)) == "passed"
    assert status(lint(tool, 2)) == "failed"
    assert status(lint(tool, 0), lint(tool, 1, path="b")) == "failed"
    assert status(lint(other, 0)) == "not_measured"
    assert status() == "not_measured"
    assert status(lint(tool, 0), unreadable("lint")) == "not_measured"
    assert status(lint(tool, 0), runs=(run(purpose, 0),)) == "passed"
    assert status(lint(tool, 0), runs=(run(purpose, 2),)) == "failed"
    assert status(lint(tool, 0), runs=(run(purpose, None, reason="missing"),)) == "not_measured"
    assert status(lint(tool, 0), runs=(run(purpose, None, timed_out=True),)) == "failed"
    assert status(runs=(run(purpose, 0),)) == "not_measured"


def sarif(tool: str = "scanner", **severities: int) -> EvidenceFile:
    return EvidenceFile(path="s", kind="sarif", tool=tool, issues=sum(severities.values()), severities=severities)


@pytest.mark.parametrize(
    ("required", "files", "status", "actual"),
    [
        ("none", (sarif(),), "passed", "none"),
        ("none", (sarif(low=1),), "failed", "low"),
        ("low", (sarif(low=1),), "passed", "low"),
        ("medium", (sarif(low=1, high=1),), "failed", "high"),
        ("critical", (sarif(critical=1),), "passed", "critical"),
        ("critical", (sarif("ruff"),), "not_measured", None),
        ("critical", (), "not_measured", None),
        ("critical", (sarif(), unreadable("sarif")), "not_measured", None),
    ],
)
def test_security_max_accepts_up_to_the_severity(criterion, required, files, status, actual):
    found = criterion("security_max", required, *files)
    assert (found.status, found.actual) == (status, actual)


def scan(tool: str = "bandit", path: str = "b.json", **severities: int) -> EvidenceFile:
    return EvidenceFile(path=path, kind="lint", tool=tool, issues=sum(severities.values()), severities=severities)


@pytest.mark.parametrize(
    ("required", "files", "status", "actual"),
    [
        ("none", (scan(),), "passed", "none"),
        ("low", (scan(), scan("npm-audit", low=2)), "passed", "low"),
        ("high", (scan(medium=1), scan("pip-audit", critical=1)), "failed", "critical"),
        ("none", (scan("ruff"),), "not_measured", None),
        ("none", (sarif(), EvidenceFile(path="b", kind="lint", tool="bandit")), "not_measured", None),
        ("none", (sarif(), EvidenceFile(path="m", kind="lint", tool="mypy")), "passed", "none"),
    ],
)
def test_security_max_reads_scanners_and_no_linters(criterion, required, files, status, actual):
    found = criterion("security_max", required, *files)
    assert (found.status, found.actual) == (status, actual)


@pytest.mark.parametrize(
    ("code", "report", "status"),
    [
        (0, scan(), "passed"),
        (1, scan(low=1), "passed"),
        (1, scan(), "not_measured"),
        (2, scan(), "not_measured"),
        (None, scan(), "not_measured"),
        (0, scan(path="other.json"), "not_measured"),
    ],
)
def test_security_max_wants_each_started_scanner_to_come_to_its_end(criterion, code, report, status):
    started = ToolRun(purpose="security", id="bandit", exit_code=code, report="b.json", reason="stopped")
    assert criterion("security_max", "high", report, runs=(started,)).status == status


def test_broken_scan_is_none_of_the_linter_s_reports(criterion):
    broken = EvidenceFile(path="b", kind="lint", tool="bandit", could_be=("lint",), problems=("cut off",))
    assert criterion("lint_pass", True, lint("ruff", 0), broken).status == "passed"


def page(**scores: float | None) -> EvidenceFile:
    return EvidenceFile(path="lh.json", kind="lighthouse", lighthouse=scores)


@pytest.mark.parametrize(
    ("required", "files", "status", "actual"),
    [
        (29, (page(performance=0.29),), "passed", 29),
        (90, (page(performance=0.9), page(performance=0.4)), "failed", 40),
        (0, (page(performance=None),), "not_measured", None),
        (0, (page(performance=0.9), page(seo=0.9)), "not_measured", None),
        (0, (), "not_measured", None),
        (0, (page(performance=0.9), unreadable("lighthouse")), "not_measured", None),
    ],
)
def test_lighthouse_min_takes_the_worst_page(criterion, required, files, status, actual):
    found = criterion("lighthouse_min", required, *files)
    assert (found.status, found.actual) == (status, actual)


def test_lighthouse_categories_all_count(criterion):
    found = criterion("lighthouse", {"seo": 90, "accessibility": 50}, page(seo=0.8, accessibility=0.9))
    assert (found.status, found.actual) == ("failed", {"accessibility": 90, "seo": 80})
    assert "seo is 80, 90 is required" in found.reason


def playwright(*outcomes: str) -> EvidenceFile:
    return junit(*outcomes, path="results.json").model_copy(update={"kind": "playwright"})


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ((playwright("passed"),), "passed"),
        ((playwright("passed", "failed"),), "failed"),
        ((playwright("skipped"),), "not_measured"),
        ((junit("passed"),), "not_measured"),
        ((junit("passed", path="reports/e2e/junit.xml"),), "passed"),
        ((junit("failed", path="junit-e2e.xml"),), "failed"),
        ((junit("passed").model_copy(update={"tool": "e2e"}),), "passed"),
        ((playwright("passed"), unreadable("playwright")), "not_measured"),
        ((playwright("passed"), unreadable("junit")), "passed"),
        ((playwright("passed"), unreadable("junit", path="e2e.xml")), "not_measured"),
    ],
)
def test_e2e_pass_reads_playwright_and_marked_junit(criterion, files, status):
    assert criterion("e2e_pass", True, *files).status == status


def plan(*lines: str) -> Plan:
    acceptance = [{"id": line, "text": "x"} for line in lines]
    return Plan.model_validate({"sprints": [{"label": "s", "stories": [{"id": "US1", "acceptance": acceptance}]}]})


@pytest.mark.parametrize(
    ("name", "proves"),
    [
        ("tests/test_a.py::test_us1_2_rejects", True),
        ("tests/test_a.py::test_US1_2", True),
        ("a::[US1.2] rejects", True),
        ("a::TestUS1_2::test_x", False),
        ("a::test_us1_21", False),
        ("a::test_us11_2", False),
        ("a::test_bus1_2", False),
        ("a::test_us1__2", False),
        ("a::test_us12", False),
    ],
)
def test_acceptance_line_is_proven_by_a_name_that_holds_its_id(criterion, name, proves):
    found = criterion("acceptance_traced", True, named_cases(name), plan=plan("US1.2"))
    assert found.status == ("passed" if proves else "failed")


def test_acceptance_needs_a_passing_test_for_each_line(criterion):
    found = criterion("acceptance_traced", True, named_cases("test_us1_1"), plan=plan("US1.1", "US1.2"))
    assert found.status == "failed"
    assert found.evidence == ("US1.2: no passing test names it", "US1.1: test_us1_1")
    failing = named_cases("test_us1_1", outcome="failed")
    assert criterion("acceptance_traced", True, failing, plan=plan("US1.1")).status == "failed"
    assert "(test_us1_1_…)" in criterion("acceptance_traced", True, failing, plan=plan("US1.1")).reason
    assert criterion("acceptance_traced", True, named_cases("x")).status == "not_measured"
    assert criterion("acceptance_traced", True, named_cases("x"), plan=plan()).status == "not_measured"


BREAKING = IntegrityFinding(kind="test-vanished", fails=True, file="t.py", node_ids=("t.py::x",), reason="gone")
NOTE = IntegrityFinding(kind="test-moved", fails=False, file="t.py", reason="moved")


@pytest.mark.parametrize(
    ("findings", "status"),
    [((), "passed"), ((NOTE,), "passed"), ((NOTE, BREAKING), "failed"), (None, "not_measured")],
)
def test_integrity_fails_on_what_weakens(criterion, findings, status):
    assert criterion("integrity", True, integrity=findings).status == status


def test_integrity_holds_unwritten_where_there_is_a_change(criterion):
    found = criterion("integrity", None, integrity=(BREAKING,))
    assert found.status == "failed"
    assert found.evidence == ("test-vanished: t.py, t.py::x: gone",)


@pytest.mark.parametrize(
    ("runs", "status", "actual"),
    [
        ((run("custom", 0, id="build"),), "passed", 0),
        ((run("custom", 3, id="build"),), "failed", 3),
        ((run("custom", None, id="build", timed_out=True),), "failed", None),
        ((run("custom", None, id="build", reason="x"),), "not_measured", None),
        ((run("custom", 0, id="other"),), "not_measured", None),
        ((), "not_measured", None),
    ],
)
def test_custom_check_is_judged_by_its_recorded_run(criterion, runs, status, actual):
    found = criterion("custom", [{"id": "build", "run": "make"}], runs=runs)
    assert (found.id, found.status, found.actual) == ("custom.build", status, actual)
