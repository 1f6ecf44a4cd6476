"""What a change hides from lint, types, coverage, commands and doctests counts all the same."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from action.gate.judge import judge
from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import CustomCheck, DefinitionOfDone
from controlplane.verdict import Verdict
from tests.acceptance import verify_cheats_checks as cheats
from tests.acceptance.verify_packages import CALC, make_repository

pytestmark = pytest.mark.acceptance
WIDE = os.environ.get("AICD_WIDE_TESTS") == "1"
COMMANDS = (CustomCheck(id="words", run="sh checks/words.sh"), CustomCheck(id="make", run="make words"))
EVERYTHING = DefinitionOfDone(lint_pass=True, type_check=True, coverage_min=0.9, custom=COMMANDS)
TABLES = {
    "lint": (cheats.LINT, DefinitionOfDone(lint_pass=True)),
    "types": (cheats.TYPES, DefinitionOfDone(type_check=True)),
    "coverage": (cheats.COVERAGE, DefinitionOfDone(coverage_min=0.9)),
    "commands": (cheats.COMMANDS, DefinitionOfDone(custom=COMMANDS)),
    "doctests": (cheats.DOCTESTS, DefinitionOfDone()),
}
# One of each mechanism; the whole table takes minutes.
SAMPLE = {"noqa_for_the_file", "nearer_hidden_settings", "stub_beside_it", "for_the_checker_only", "target_emptied"}
SAMPLE |= {"docstring_rewritten", "data_beside_the_tests_rewritten"}
CASES = [(table, name) for table, (changes, _) in TABLES.items() for name in changes if WIDE or name in SAMPLE]


@pytest.mark.parametrize(("table", "name"), [pytest.param(*one, id="-".join(one)) for one in CASES])
def test_hidden_fault_is_failed(table: str, name: str, tmp_path: Path) -> None:
    changes, dod = TABLES[table]
    assert judged(tmp_path, changes[name], dod).result == "FAILED"


def test_faultless_change_is_passed(tmp_path: Path) -> None:
    more = "\n\ndef less(left: int, right: int) -> int:\n    return left - right\n"
    test = "from calc import less\n\n\ndef test_less() -> None:\n    assert less(20, 13) == 7\n"
    change = {"calc/__init__.py": cheats.CODE + more, "tests/test_less.py": test}
    verdict = judged(tmp_path, change, EVERYTHING)
    assert verdict.result == "PASSED", verdict.failing()


def judged(folder: Path, change: cheats.Change, dod: DefinitionOfDone) -> Verdict:
    repository = make_repository(folder / "repository", replace(CALC, files=cheats.BASE), change)
    options = VerifyOptions(work_dir=folder / "work")
    return judge(dod, verify_change(Change(repository=repository, base="main~1", head="main"), dod, options))
