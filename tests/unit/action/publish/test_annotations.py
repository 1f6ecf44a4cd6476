"""Annotations and SARIF: at the right lines, bounded, and obeyed by nobody."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from action.console import Console
from action.publish.annotations import MAX_ANNOTATIONS, Annotation, annotate, for_step, inside
from action.publish.sarif import write_sarif
from action.settings import GitHubContext
from controlplane.evidence import CoverageTotals, Evidence, EvidenceFile, FileCoverage, IntegrityFinding, TestCase
from controlplane.verdict import Criterion, Verdict

NASTY = "x\n::error::gone\r%0A @team <script>alert(1)</script> {0} [a](http://e) \x1b[31m\u202e##[error]y"


def failing(*names: str) -> Verdict:
    return Verdict(
        criteria=tuple(Criterion(id=name, required=True, actual=False, status="failed", reason=NASTY) for name in names)
    )


EVIDENCE = Evidence(
    files=(
        EvidenceFile(
            path="junit.xml", kind="junit",
            cases=(
                TestCase(node_id="tests/test_a.py::test_x", outcome="failed", message=NASTY, line=7),
                TestCase(node_id="tests/test_a.py::test_y", outcome="passed"),
                TestCase(node_id="pkg.Case::z", outcome="error", message="broke"),
            ),
        ),
        EvidenceFile(path="ruff.json", kind="lint", tool="ruff", issues=2,
                     findings=("calc/sub.py:3:1: F401 unused", "/etc/passwd:1: no")),
        EvidenceFile(path="mypy.txt", kind="lint", tool="mypy", issues=1, findings=("calc/sub.py:9: bad type",)),
        EvidenceFile(path="coverage.json", kind="coverage", coverage=CoverageTotals(covered=1, total=5), lines=(
            FileCoverage(path="calc/sub.py", covered=frozenset((1,)), missing=frozenset((3, 4, 5, 9))),)),
    ),
    integrity=(
        IntegrityFinding(kind="test-skipped", fails=True, file="tests/test_a.py", node_ids=("t",), reason="skipped"),
        IntegrityFinding(kind="test-moved", fails=False, file="tests/test_b.py"),
    ),
    changed_lines={"calc/sub.py": frozenset((1, 3, 4, 9, 12))},
)  # fmt: skip


def places(found: tuple[Annotation, ...], level: str) -> list[tuple[str, str, int, int]]:
    return [(one.rule, one.path, one.line, one.end_line) for one in found if one.level == level]


def test_everything_with_a_place_is_at_its_place() -> None:
    found = annotate(EVIDENCE, failing("lint_pass", "coverage_min"))
    assert sorted(places(found, "error")) == [
        ("integrity", "tests/test_a.py", 1, 1),
        ("lint_pass", "", 1, 1),
        ("lint_pass", "calc/sub.py", 3, 3),
        ("unit_pass", "", 1, 1),
        ("unit_pass", "tests/test_a.py", 7, 7),
    ]
    assert sorted(places(found, "warning")) == [
        ("diff_coverage_min", "calc/sub.py", 3, 4),
        ("diff_coverage_min", "calc/sub.py", 9, 9),
        ("type_check", "calc/sub.py", 9, 9),
    ]


def test_uncovered_lines_are_quiet_where_coverage_is_enough() -> None:
    assert not [one for one in annotate(EVIDENCE, failing("lint_pass")) if one.rule == "diff_coverage_min"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.py", "a/../../x", "C:/x.py", "a\nb.py", "", "x" * 600, "..\\x.py"]
)
def test_path_that_is_none_of_the_repository_is_dropped(path: str) -> None:
    assert inside(path) == ""


def test_path_is_spelt_plainly() -> None:
    assert inside("./a//b.py") == "a/b.py"


def test_step_shows_ten_errors_and_ten_warnings_at_most() -> None:
    many = tuple(
        Annotation(level=level, rule="r", title=f"t{n}", message="m", path="a.py", line=n)
        for level in ("error", "warning")
        for n in range(1, 40)
    )
    shown = for_step(failing(*(f"c{n}" for n in range(20))), many)
    assert [one.level for one in shown].count("error") == 10
    assert [one.level for one in shown].count("warning") == 10
    assert len([one for one in shown if not one.path]) == 5


def test_number_of_annotations_is_bounded() -> None:
    cases = tuple(TestCase(node_id=f"t.py::t{n}", outcome="failed") for n in range(2000))
    evidence = Evidence(files=(EvidenceFile(path="j.xml", kind="junit", cases=cases),))
    assert len(annotate(evidence, failing())) == MAX_ANNOTATIONS


def test_workflow_commands_stay_one_line_each_whatever_the_texts_say() -> None:
    stream = io.StringIO()
    console = Console(GitHubContext(actions=True), ("canary-123456",), stream)
    one = annotate(EVIDENCE, failing("lint_pass"))[-1]
    console.annotate("error", NASTY + "canary-123456", "t:,canary-123456\n::", "a,b:c.py", 3, 4)
    console.annotate(one.level, one.message, one.title, one.path, one.line, one.end_line)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith(
        "::error file=a%2Cb%3Ac.py,line=3,endLine=4,title=t%3A%2C***%0A%3A%3A::x%0A::error::gone%0D"
    )
    assert "canary" not in stream.getvalue()
    assert len(lines) == 2


def test_sarif_has_what_the_standard_asks_for() -> None:
    verdict = failing("lint_pass", "coverage_min")
    text = write_sarif(verdict, annotate(EVIDENCE, verdict), "1.2.3")
    assert text == write_sarif(verdict, annotate(EVIDENCE, verdict), "1.2.3")
    document: dict[str, Any] = json.loads(text)
    [run] = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert document["version"] == "2.1.0"
    assert len(rules) == len(set(rules))
    assert len(run["results"]) == 2 + 8
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"]
        for location in result.get("locations", ()):
            region = location["physicalLocation"]["region"]
            assert 1 <= region["startLine"] <= region["endLine"]
            assert not location["physicalLocation"]["artifactLocation"]["uri"].startswith(("/", "."))


def test_sarif_message_cannot_hold_a_link_or_a_placeholder() -> None:
    text = json.loads(write_sarif(failing("lint_pass"), (), ""))["runs"][0]["results"][0]["message"]["text"]
    assert "{{0}}" in text
    assert "\\[a\\](http" in text
    assert not set(text) & {"\x1b", "\u202e"}


def test_sarif_is_read_back_by_our_own_reader(tmp_path: Any) -> None:
    from action.evidence import read_reports

    verdict = failing("lint_pass", "coverage_min")
    path = tmp_path / "verdict.sarif"
    path.write_text(write_sarif(verdict, annotate(EVIDENCE, verdict), ""))
    [read] = read_reports([path]).files
    assert (read.kind, read.tool, read.issues, read.problems) == ("sarif", "aicd", 10, ())


def test_sarif_of_a_verdict_that_passed_has_no_result() -> None:
    passed = Verdict(criteria=(Criterion(id="unit_pass", required=True, actual=True, status="passed", reason="all"),))
    assert json.loads(write_sarif(passed, (), ""))["runs"][0]["results"] == []
