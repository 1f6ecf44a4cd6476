"""Mutants of a change: tests that look kill them, tests that do not look let them live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from action.gate.judge import judge
from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import Evidence
from tests.acceptance.verify_packages import CALC, make_repository

pytestmark = pytest.mark.acceptance
DOD = DefinitionOfDone(mutation_min=0.9)
CLAMP = "\n\ndef clamp(value, high):\n    if value > high:\n        return high\n    return value\n"
LOOKS = "    assert [clamp(1, 2), clamp(2, 2), clamp(3, 2)] == [1, 2, 2]\n"
RUNS_ONLY = "    clamp(1, 2)\n    clamp(3, 2)\n"


def verified(folder: Path, body: str, *, fixed: str = CALC.fixed) -> Evidence:
    tests = f"from calc import clamp\n\n\ndef test_clamp():\n{body}"
    repository = make_repository(
        folder / "repository", CALC, {CALC.source: fixed + CLAMP, "tests/test_clamp.py": tests}
    )
    change = Change(repository=repository, base="main~1", head="main")
    return verify_change(change, DOD, VerifyOptions(work_dir=folder / "work"))


def test_tests_that_look_kill_what_can_be_killed(tmp_path: Path) -> None:
    first = verified(tmp_path, LOOKS)
    assert first.mutation
    report = json.loads(Path(first.mutation.report).read_text())
    # `>=` for `>` is the same function; everything else is noticed.
    assert first.mutation.survivors == ("calc/__init__.py:13: value > high → value >= high",)
    assert (first.mutation.killed, first.mutation.total) == (len(report["mutants"]) - 1, first.mutation.possible)
    by = {mutant["by"] for mutant in report["mutants"] if mutant["fate"] == "killed"}
    assert by == {"tests/test_calc.py::test_add_sums_two_numbers", "tests/test_clamp.py::test_clamp"}


def test_tests_that_only_run_the_lines_let_mutants_live_and_fail(tmp_path: Path) -> None:
    evidence = verified(tmp_path, RUNS_ONLY)
    criterion = next(one for one in judge(DOD, evidence).criteria if one.id == "mutation_min")
    assert criterion.status == "failed"
    assert "calc/__init__.py:14: return high → return None" in criterion.evidence


def test_red_tests_measure_no_mutants(tmp_path: Path) -> None:
    evidence = verified(tmp_path, LOOKS, fixed=CALC.files[CALC.source])
    criterion = next(one for one in judge(DOD, evidence).criteria if one.id == "mutation_min")
    assert criterion.status == "not_measured"
    assert "do not pass without any mutant" in criterion.reason
