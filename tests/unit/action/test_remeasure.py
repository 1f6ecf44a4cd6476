"""Reports handed over say the same as the evidence beside them: also which tests were the base's."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.handover import HandoverRefused
from action.remeasure import check_reports
from action.verify.junit import write_junit
from controlplane.evidence import Evidence, EvidenceFile, TestTotals
from controlplane.testcase import Group, TestCase

PATH = "reports/tests.junit.xml"


def cases(*groups: Group) -> tuple[TestCase, ...]:
    return tuple(TestCase(node_id=f"t.py::t{n}", outcome="passed", group=group) for n, group in enumerate(groups))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    write_junit(cases("base", "base", "change"), tmp_path / PATH, suite="tests")
    return tmp_path


def evidence(*groups: Group) -> Evidence:
    told = cases(*groups)
    return Evidence(files=(EvidenceFile(path=PATH, kind="junit", tests=TestTotals.count(told), cases=told),))


def test_evidence_that_its_report_bears_out_is_taken(folder: Path) -> None:
    check_reports(folder, evidence("base", "base", "change"))


@pytest.mark.parametrize("groups", [("base", "base"), ("base", "change", "change"), ("", "", "")])
def test_evidence_that_tells_of_other_tests_is_refused(folder: Path, groups: tuple[Group, ...]) -> None:
    with pytest.raises(HandoverRefused, match=r"tests\.junit\.xml"):
        check_reports(folder, evidence(*groups))
