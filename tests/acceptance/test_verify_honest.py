"""Honest changes pass untouched: tests added, moved, renamed, rewritten as strictly; code refactored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from action.gate.judge import judge
from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import EMPTY_TREE, Change
from controlplane.dod import CustomCheck, DefinitionOfDone
from controlplane.evidence import Evidence, IntegrityFinding
from tests.acceptance.verify_packages import CALC, make_repository

pytestmark = pytest.mark.acceptance
WIDE = os.environ.get("AICD_WIDE_TESTS") == "1"
TESTS = CALC.files[CALC.tests]
FIXED = {CALC.source: CALC.fixed}
MORE = "\n\ndef test_add_takes_negative_numbers():\n    assert add(-20, 5) == -15\n"

CHANGES: dict[str, dict[str, str | None]] = {
    "test_added": {CALC.tests: TESTS + MORE},
    "test_module_added": {"tests/test_more.py": "from calc import add\n" + MORE},
    "test_moved_to_another_module": {
        CALC.tests: TESTS.partition("\n\n\ndef test_double")[0].replace(", double", "") + "\n",
        "tests/test_double.py": (
            "from calc import double\n\n\ndef test_double_of_four_is_eight():\n    assert double(4) == 8\n"
        ),
    },
    "test_renamed": {CALC.tests: TESTS.replace("test_double_of_four_is_eight", "test_twice_four")},
    "test_put_into_a_class": {
        CALC.tests: (
            "from calc import add, double\n\n\nclass TestCalc:\n    def test_add_sums_two_numbers(self):\n"
            "        assert add(20, 13) == 33\n\n    def test_double_of_four_is_eight(self):\n"
            "        assert double(4) == 8\n"
        )
    },
    "tests_joined_by_parameters": {
        CALC.tests: TESTS.replace("from calc", "import pytest\n\nfrom calc").replace(
            "def test_double_of_four_is_eight():\n    assert double(4) == 8",
            '@pytest.mark.parametrize(("value", "doubled"), [(4, 8), (5, 10)])\n'
            "def test_double_of_four_is_eight(value, doubled):\n    assert double(value) == doubled",
        )
    },
    "code_split_into_modules": {
        CALC.source: '"""Sums."""\n\nfrom calc.sums import add, double\n\n__all__ = ["add", "double"]\n',
        "calc/sums.py": CALC.fixed,
    },
    "conftest_and_settings_added": {
        "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef four():\n    return 4\n",
        "pytest.ini": "[pytest]\nmarkers =\n    slow: takes long\n",
        "tests/test_four.py": "from calc import double\n\n\ndef test_four(four):\n    assert double(four) == 8\n",
    },
    "feature_with_its_tests": {
        CALC.source: CALC.fixed + "\n\ndef sign(value):\n    return 0 if value == 0 else value // abs(value)\n",
        "tests/test_sign.py": (
            "from calc import sign\n\n\ndef test_sign():\n    assert sign(-3) == -1\n    assert sign(0) == 0\n"
        ),
    },
    "sub_tests_added": {
        "tests/test_sub.py": (
            "import unittest\n\nfrom calc import double\n\n\nclass SubTest(unittest.TestCase):\n"
            "    def test_each(self):\n        for value in (2, 3):\n            with self.subTest(value=value):\n"
            "                self.assertEqual(double(value), value + value)\n        self.assertTrue(True)\n"
        ),
    },
    "documentation_added": {"docs/usage.md": "# Usage\n", "CHANGELOG.md": "# Changes\n"},
}


@pytest.mark.parametrize("name", CHANGES if WIDE else list(CHANGES)[:-1])
def test_honest_change_is_passed(name: str, tmp_path: Path) -> None:
    evidence = verified(tmp_path, {**FIXED, **CHANGES[name]})
    verdict = judge(DefinitionOfDone(unit_pass=True), evidence)
    assert verdict.result == "PASSED", verdict.failing()


def test_moved_test_is_noted_with_its_node_id(tmp_path: Path) -> None:
    evidence = verified(tmp_path, {**FIXED, **CHANGES["test_moved_to_another_module"]})
    moved = finding(evidence, "test-moved")
    assert not moved.fails
    assert moved.node_ids == ("tests/test_calc.py::test_double_of_four_is_eight",)


def test_own_tests_of_a_change_are_counted_apart(tmp_path: Path) -> None:
    evidence = verified(tmp_path, {**FIXED, **CHANGES["test_added"]})
    groups = sorted((case.group, case.node_id.partition("::")[2]) for file in evidence.files for case in file.cases)
    assert groups == [
        ("base", "test_add_sums_two_numbers"),
        ("base", "test_double_of_four_is_eight"),
        ("change", "test_add_takes_negative_numbers"),
    ]


def test_uncovered_lines_behind_new_pragma_or_omit_count_as_missing(tmp_path: Path) -> None:
    untested = "\n\ndef untested(value):  # pragma: no cover\n    value += 1\n    value += 2\n    return value\n"
    hidden = "def hidden():\n    return 1\n"
    change = {
        CALC.source: CALC.fixed + untested,
        "calc/hidden.py": hidden,
        ".coveragerc": "[run]\nomit = calc/hidden.py\n",
    }
    evidence = verified(tmp_path, change)
    coverage = next(file.coverage for file in evidence.files if file.kind == "coverage")
    assert coverage is not None
    assert (coverage.covered, coverage.total) == (5, 10)
    assert finding(evidence, "coverage-exclusion").fails


def test_first_files_of_an_empty_repository_are_judged_by_their_own_tests(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository", CALC, FIXED)
    dod = DefinitionOfDone(
        unit_pass=True, coverage_min=1.0, type_check=True, custom=(CustomCheck(id="says-hello", run="echo hello"),)
    )
    change = Change(repository=repository, base=EMPTY_TREE, head="main")
    evidence = verify_change(change, dod, VerifyOptions(work_dir=tmp_path / "work"))
    verdict = judge(dod, evidence)
    assert verdict.result == "PASSED", verdict.failing()
    assert {case.group for file in evidence.files for case in file.cases} == {"change"}


def verified(folder: Path, change: dict[str, str | None]) -> Evidence:
    repository = make_repository(folder / "repository", CALC, change)
    options = VerifyOptions(work_dir=folder / "work")
    return verify_change(Change(repository=repository, base="main~1", head="main"), DefinitionOfDone(), options)


def finding(evidence: Evidence, kind: str) -> IntegrityFinding:
    return next(one for one in evidence.integrity or () if one.kind == kind)
