"""Links into the diff, and figures beside those of an earlier run."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import pytest

from action.publish.compose import compose_report
from action.publish.markdown import spots_markdown, trends_markdown, write_body, write_report
from action.publish.page import write_page
from action.publish.places import link_to, link_to_file, where
from action.publish.trends import compared_with, find_trends
from action.run import Run
from controlplane.evidence import (
    CoverageTotals,
    Evidence,
    EvidenceFile,
    FileCoverage,
    IntegrityFinding,
    TestCase,
    TestTotals,
)
from controlplane.plan import Sprint
from controlplane.report import ChangedFile, Earlier, Measures, Report, Spot
from controlplane.verdict import Verdict
from tests.unit.action.publish.conftest import MakeReport

WEB = "https://github.com/acme/calc"
NASTY = 'a b"<script>&?#%.py'


def spot(**over: Any) -> Spot:
    told = {"level": "error", "rule": "unit_pass", "title": "Failing test: x", "message": "1 != 2"}
    return Spot.model_validate(told | {"path": "calc/sub.py", "line": 3, "end_line": 3, "in_diff": True} | over)


def anchor(path: str) -> str:
    return "#diff-" + hashlib.sha256(path.encode()).hexdigest()


@pytest.mark.parametrize(
    ("over", "link"),
    [
        ({}, f"{WEB}/pull/7/files{anchor('calc/sub.py')}R3"),
        ({"end_line": 9}, f"{WEB}/pull/7/files{anchor('calc/sub.py')}R3-R9"),
        ({"line": 0, "end_line": 0, "in_diff": False}, f"{WEB}/pull/7/files{anchor('calc/sub.py')}"),
        ({"in_diff": False}, f"{WEB}/blob/{'b' * 40}/calc/sub.py#L3"),
        ({"path": "tests/test_old.py", "end_line": 5}, f"{WEB}/blob/{'b' * 40}/tests/test_old.py#L3-L5"),
        ({"path": ""}, ""),
    ],
)
def test_place_is_shown_in_the_diff_where_it_is_part_of_it(
    make_report: MakeReport, over: dict[str, Any], link: str
) -> None:
    report = make_report(web_url=WEB, pull_request_url=f"{WEB}/pull/7")
    assert link_to(report, spot(**over)) == link


def test_before_there_is_a_pull_request_the_two_commits_are_compared(make_report: MakeReport) -> None:
    link = link_to(make_report(web_url=WEB), spot())
    assert link == f"{WEB}/compare/{'a' * 40}...{'b' * 40}{anchor('calc/sub.py')}R3"


def test_nothing_is_linked_to_where_the_commit_cannot_be_seen(make_report: MakeReport) -> None:
    report = make_report(spots=(spot(),))
    assert link_to(report, spot()) == link_to_file(report, "calc/sub.py") == ""
    page = write_page(report, {})
    assert "calc/sub.py:3" in page
    assert "<a " not in page
    assert "](" not in spots_markdown(report)


def test_path_of_a_report_leads_to_no_other_page(make_report: MakeReport) -> None:
    report = make_report(web_url=WEB, spots=(spot(path=NASTY),), files=(ChangedFile(path=NASTY, added=1, removed=0),))
    link = link_to(report, spot(path=NASTY, in_diff=False))
    assert link == f"{WEB}/blob/{'b' * 40}/a%20b%22%3Cscript%3E%26%3F%23%25.py#L3"
    assert "<script>" not in write_page(report, {})


def test_place_is_written_as_people_write_it() -> None:
    assert [where(spot(end_line=9)), where(spot()), where(spot(line=0))] == [
        "calc/sub.py:3-9", "calc/sub.py:3", "calc/sub.py",
    ]  # fmt: skip


def test_report_shows_failing_tests_touched_judges_and_changed_lines_without_a_test() -> None:
    lines = FileCoverage(path="calc/sub.py", covered=frozenset({1, 2}), missing=frozenset({3, 4, 9}))
    broken = TestCase(
        node_id="tests/test_sub.py::test_x", outcome="failed", message="no", file="tests/test_sub.py", line=8
    )
    evidence = Evidence(
        files=(
            EvidenceFile(path="c.json", kind="coverage", coverage=CoverageTotals(covered=2, total=5), lines=(lines,)),
            EvidenceFile(path="j.xml", kind="junit", tests=TestTotals(total=1, failed=1), cases=(broken,)),
        ),
        integrity=(IntegrityFinding(kind="test-vanished", fails=True, file="tests/test_sub.py", node_ids=("t::y",)),),
        changed_lines={"calc/sub.py": frozenset({2, 3, 4}), "tests/test_sub.py": frozenset({8})},
    )  # fmt: skip
    report = composed(evidence)
    found = {(one.rule, where(one), one.in_diff) for one in report.spots}
    assert found == {
        ("unit_pass", "tests/test_sub.py:8", True),
        ("integrity", "tests/test_sub.py", False),
        ("diff_coverage_min", "calc/sub.py:3-4", True),
    }
    assert (report.changed_covered, report.changed_total) == (1, 3)


def composed(evidence: Evidence) -> Report:
    run = Run(
        run_id="r", spec_id="s", sprint_label="S1", repository="acme/calc", remote_url="", branch="b", base="a" * 40,
        started_at="",
    )  # fmt: skip

    return compose_report(
        run, Sprint(label="S1"), change=None, outcome=None, evidence=evidence, verdict=Verdict(criteria=()),
        failure=None, ended_at=datetime.datetime.now(datetime.UTC),
    )  # fmt: skip


EARLIER = Earlier(
    commit="e" * 40, finished_at="2026-11-20T10:00:00+00:00", tests=3, passed=3, coverage=0.75, duration_seconds=60,
    lighthouse_score=0.9,
)  # fmt: skip


def test_figures_stand_beside_those_of_the_run_before(make_report: MakeReport) -> None:
    report = make_report(earlier=EARLIER, measures=Measures(e2e_passed=4, lighthouse_score=0.95))
    told = {one.name: (one.before, one.now, one.change, one.sign) for one in find_trends(report)}
    assert told == {
        "Line coverage": ("75.0 %", "100.0 %", "▲ +25.0 points", "better"),
        "Tests": ("3", "2", "▼ −1", "worse"),
        "Tests passed": ("3", "2", "▼ −1", "worse"),
        "End-to-end tests passed": ("no earlier figure", "4", "", "unknown"),
        "Lighthouse": ("90", "95", "▲ +5", "better"),
        "Time": ("1 min 0 s", "1 min 1 s", "▲ +1.2 s", "same"),
    }


def test_what_is_not_measured_any_more_is_said(make_report: MakeReport) -> None:
    report = make_report(
        earlier=EARLIER, verdict=Verdict(criteria=(), tests=TestTotals(total=3, passed=3), coverage=None)
    )
    [coverage] = [one for one in find_trends(report) if one.name == "Line coverage"]
    assert (coverage.now, coverage.sign) == ("not measured", "unknown")
    assert ("Tests", "±0", "same") in {(one.name, one.change, one.sign) for one in find_trends(report)}


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        (None, "no earlier figure"),
        (EARLIER, "the last run that passed for this branch (eeeeeeeeeeee, 2026-11-20)"),
        (EARLIER.model_copy(update={"is_base": True}), "the run that made the base commit"),
    ],
)
def test_report_says_what_it_compares_with(make_report: MakeReport, earlier: Earlier | None, said: str) -> None:
    assert said in compared_with(earlier)
    report = make_report(earlier=earlier)
    assert said in write_page(report, {})
    for text in (write_report(report, {}), write_body(report, {})):
        assert "### Since the run before" in text


def test_run_without_a_verdict_compares_nothing(make_report: MakeReport) -> None:
    report = make_report(verdict=None, earlier=EARLIER)
    assert find_trends(report) == ()
    assert trends_markdown(report) == ""
    assert "Since the run before" not in write_page(report, {})
