"""Cases by column are, to whoever looks at one, the tuple of nouns."""

from __future__ import annotations

import pytest

from controlplane.evidence import EvidenceFile, TestTotals
from controlplane.testcase import Cases, Columns, Detail, TestCase

NOUNS = (
    TestCase(node_id="a::t", outcome="passed", duration_seconds=0.5),
    TestCase(node_id="a::u", outcome="failed", message="no", file="a.py", line=3, group="base"),
)


@pytest.fixture
def cases() -> Cases:
    details = {1: Detail("no", "a.py", 3, "base")}
    return Cases(Columns(["a::t", "a::u"], ["passed", "failed"], [0.5, None], details))


def test_columns_are_the_nouns_that_they_hold(cases: Cases) -> None:
    assert tuple(cases) == NOUNS == (cases[0], *cases[1:])
    assert cases == NOUNS
    assert len(cases) == 2
    assert list(cases.outcomes()) == ["passed", "failed"]
    assert TestTotals.count(cases) == TestTotals.count(NOUNS)


def test_group_of_all_goes_before_the_one_of_each(cases: Cases) -> None:
    assert [case.group for case in cases.in_group("change")] == ["change", "change"]
    assert [case.group for case in cases.in_group("")] == ["", ""]
    assert [case.group for case in cases] == ["", "base"]


def test_file_with_columns_makes_no_noun_before_one_is_looked_at(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(Cases, "_noun", lambda _self, index: made.append(index))
    file = EvidenceFile(path="a.xml", kind="junit", tests=TestTotals.count(cases), cases=cases)
    assert file.cases is cases
    assert file.tests is not None
    assert made == []


def test_file_reads_its_cases_from_plain_json_too() -> None:
    plain = [{"node_id": "a::t", "outcome": "passed", "duration_seconds": 0.5}]
    assert EvidenceFile.model_validate({"path": "a", "kind": "junit", "cases": plain}).cases == NOUNS[:1]
