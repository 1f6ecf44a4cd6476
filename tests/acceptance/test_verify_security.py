"""security_max through verify: bandit in its own cell and environment, judged by the gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.gate.judge import judge
from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from tests.acceptance.verify_packages import CALC, make_repository

pytestmark = pytest.mark.acceptance
SHELL = "\n\ndef run(command):\n    import os\n\n    return os.system(command)  # nosec\n"


@pytest.mark.parametrize(
    ("added", "status", "actual"), [("", "passed", "none"), (SHELL, "failed", "high")], ids=["clean", "shell"]
)
def test_change_that_calls_a_shell_is_refused(tmp_path: Path, added: str, status: str, actual: str) -> None:
    repository = make_repository(tmp_path / "repository", CALC, {CALC.source: CALC.fixed + added})
    dod = DefinitionOfDone(security_max="medium", integrity=False)
    change = Change(repository=repository, base="main~1", head="main")
    evidence = verify_change(change, dod, VerifyOptions(work_dir=tmp_path / "work"))
    found = next(one for one in judge(dod, evidence).criteria if one.id == "security_max")
    assert (found.status, found.actual) == (status, actual), (found.reason, evidence.runs)
    assert any("nosec" in note for note in evidence.notes) is bool(added)
