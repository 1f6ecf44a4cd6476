"""Test commands of the project's own: their reports are read, and an exit code alone shows no test."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.gate.judge import judge
from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.spec import TestCommands
from controlplane.verdict import Criterion
from tests.acceptance.verify_packages import CALC, make_repository

pytestmark = pytest.mark.acceptance
SCRIPT = (
    'sh -c "python3 calc/__init__.py" && printf \'<testsuite tests="2"><testcase name="a"/>'
    '<testcase name="b">%s</testcase></testsuite>\''
)
ONE_FILE = f"{SCRIPT} '' > {{report}}"
FOLDER = f"mkdir $AICD_REPORT && {SCRIPT} '' > $AICD_REPORT/first.xml"
FAILING = f"{SCRIPT} '<failure message=\"no\"/>' > {{report}}"


@pytest.mark.parametrize(
    ("command", "status", "word"),
    [
        (ONE_FILE, "passed", "2 of 2"),
        (FOLDER, "passed", "2 of 2"),
        (f"{ONE_FILE}; exit 3", "failed", "exit code 3"),
        ("true", "not_measured", "$AICD_REPORT"),
    ],
)
def test_told_end_to_end_command_is_judged_by_its_report(command: str, status: str, word: str, tmp_path: Path) -> None:
    found = judged(tmp_path, TestCommands(e2e=command), DefinitionOfDone(e2e_pass=True), "e2e_pass")
    assert found.status == status
    assert word in found.reason


def test_told_unit_command_counts_beside_pytest(tmp_path: Path) -> None:
    found = judged(tmp_path, TestCommands(unit=FAILING), DefinitionOfDone(), "unit_pass")
    assert found.status == "failed"
    assert found.reason.startswith("1 of 4 tests did not pass.")


def judged(folder: Path, tests: TestCommands, dod: DefinitionOfDone, name: str) -> Criterion:
    repository = make_repository(folder / "repository", CALC, {CALC.source: CALC.fixed})
    options = VerifyOptions(work_dir=folder / "work", tests=tests)
    verdict = judge(dod, verify_change(Change(repository=repository, base="main~1", head="main"), dod, options))
    return next(one for one in verdict.criteria if one.id == name)
