"""What verify writes as JUnit is read back as it was: ids, ends and groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from action.evidence import read_reports
from action.verify.junit import FORBIDDEN, write_junit
from controlplane.testcase import TestCase

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).map(
    lambda text: FORBIDDEN.sub("", text) or "x"
)
IDS = st.one_of(
    st.sampled_from(["t.py", "t.py::T::t[a::b]", "a/b.test.ts::adds > two", "x.js::y.z::t", "w\\t.py::t", "m"]), TEXT
)
CASES = st.lists(
    st.builds(
        TestCase,
        node_id=IDS,
        outcome=st.sampled_from(["passed", "failed", "error", "skipped", "xfailed"]),
        file=st.sampled_from(["", "t.py", "x.js"]),
        group=st.sampled_from(["", "base", "change"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CASES)
def test_cases_come_back_with_their_ids_ends_and_groups(tmp_path: Path, cases: list[TestCase]) -> None:
    path = tmp_path / "own.xml"
    write_junit(tuple(cases), path, suite="s")
    read = read_reports([path], group=None).files[0]
    assert [(one.node_id, one.outcome, one.group) for one in read.cases] == [
        (one.node_id, one.outcome, one.group) for one in cases
    ]


def test_groups_of_a_report_are_believed_only_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "own.xml"
    write_junit((TestCase(node_id="t.py::t", outcome="passed", group="base"),), path, suite="s")
    assert [read_reports([path]).files[0].cases[0].group] == [""]
    assert read_reports([path], group="change").files[0].cases[0].group == "change"


@pytest.mark.parametrize("inner", ['<property name="group" value="base"/>', '<property name="node_id" value="x"/>'])
def test_property_of_somebody_else_s_making_is_no_group(tmp_path: Path, inner: str) -> None:
    path = tmp_path / "other.xml"
    path.write_text(f'<testsuite><testcase name="t"><properties>{inner}</properties></testcase></testsuite>')
    [case] = read_reports([path], group=None).files[0].cases
    assert (case.node_id, case.group) == ("t", "")
