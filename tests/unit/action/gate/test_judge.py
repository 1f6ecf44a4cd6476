"""The verdict as a whole: what is asked, in which order, and that nothing else sways it."""

from __future__ import annotations

import json
import random

from action.gate import judge
from action.gate.criteria import RULES
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import Evidence, EvidenceFile
from controlplane.states import Result

from .conftest import coverage, junit, lint, unreadable


def verdict_of(dod: dict[str, object], *files: EvidenceFile, **rest: object):
    return judge(DefinitionOfDone.model_validate(dod), Evidence.model_validate({"files": files, **rest}))


def test_nothing_written_still_asks_that_tests_pass():
    verdict = verdict_of({}, junit("passed"))
    assert [criterion.id for criterion in verdict.criteria] == ["unit_pass"]
    assert verdict.result is Result.PASSED


def test_nothing_asked_is_not_passed():
    assert verdict_of({"unit_pass": False}, junit("passed")).result is Result.FAILED


def test_no_evidence_at_all_measures_nothing():
    everything = {
        "coverage_min": 0,
        "diff_coverage_min": 0,
        "unit_pass": True,
        "e2e_pass": True,
        "lighthouse_min": 0,
        "lighthouse": {"seo": 0},
        "lint_pass": True,
        "type_check": True,
        "security_max": "critical",
        "tests_min": 0,
        "skipped_max": 1000,
        "duration_max_seconds": 1e9,
        "acceptance_traced": True,
        "integrity": True,
        "mutation_min": 0,
        "custom": [{"id": "x", "run": "true"}],
        "typo_min": 0,
    }
    verdict = verdict_of(everything)
    assert {criterion.status for criterion in verdict.criteria} == {"not_measured"}
    assert [criterion.id for criterion in verdict.criteria] == [
        *(rule.id for rule in RULES),
        "custom.x",
        "typo_min",
    ]
    assert all("Fix:" in criterion.reason for criterion in verdict.criteria)
    assert verdict.coverage is None


def test_every_key_of_the_definition_of_done_has_a_rule():
    keys = set(DefinitionOfDone.model_fields) - {"custom"}
    assert {rule.id for rule in RULES} == keys


def test_false_asks_for_nothing():
    dod = dict.fromkeys(("unit_pass", "e2e_pass", "lint_pass", "type_check", "acceptance_traced", "integrity"), False)
    assert verdict_of(dod, integrity=()).criteria == ()


def test_misspelt_key_fails_and_names_the_right_one():
    verdict = verdict_of({"coverge_min": 0.8}, junit("passed"))
    assert verdict.result is Result.FAILED
    assert "did you mean coverage_min?" in verdict.criteria[-1].reason


def test_totals_and_coverage_are_told_without_being_asked():
    verdict = verdict_of(
        {}, junit("passed", "xfailed", path="a.xml"), junit("skipped", path="b.xml"), coverage(a_py=({1}, {2}))
    )
    assert (verdict.tests.total, verdict.tests.passed, verdict.tests.skipped) == (3, 1, 2)
    assert verdict.coverage == 0.5


def test_coverage_is_not_told_beside_an_unreadable_report():
    assert verdict_of({}, junit("passed"), coverage(a_py=({1}, set())), unreadable("coverage")).coverage is None


def test_same_evidence_in_any_order_gives_the_same_bytes():
    files = [
        junit("passed", "failed", path="j.xml"),
        coverage("c.xml", a_py=({1, 2}, {3, 9}), b_py=(set(), {1})),
        coverage("d.xml", b_py=({1}, set())),
        lint("ruff", 2),
        unreadable("lint", path="z"),
    ]
    dod = {"coverage_min": 0.9, "lint_pass": True, "type_check": True, "zeta": 1, "alpha": {"b": 1}}
    first = json.dumps(verdict_of(dod, *files).as_json())
    for seed in range(10):
        random.Random(seed).shuffle(files)
        assert json.dumps(verdict_of(dod, *files).as_json()) == first


def test_json_has_the_contract_s_shape():
    document = verdict_of({"coverage_min": 0.5}, junit("passed"), coverage(a_py=({1}, set()))).as_json()
    assert list(document) == ["result", "criteria", "tests", "coverage"]
    assert list(document["criteria"][0]) == ["id", "required", "actual", "status", "reason", "evidence"]
    assert document["tests"] == {"total": 1, "passed": 1, "failed": 0, "errors": 0, "skipped": 0}
    assert document["result"] == "PASSED"


def test_evidence_that_lost_its_cases_on_the_way_is_no_greener():
    lost = junit("passed", "failed").model_copy(update={"cases": ()})
    assert verdict_of({}, lost).result is Result.FAILED
    broken = EvidenceFile(path="junit.xml", kind="junit", problems=("cut off",))
    assert verdict_of({}, junit("passed"), broken).result is Result.FAILED
