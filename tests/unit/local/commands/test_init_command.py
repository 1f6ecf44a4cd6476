"""`aicd init`: what it writes works as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.verify.checkout import Snapshot
from action.verify.policy import read_policy
from controlplane.evidence import IntegrityFinding
from local.cli import run
from local.commands.init import CONFIGURATION_TEXT


def test_example_in_the_configuration_allows_what_it_shows_once_it_is_uncommented() -> None:
    setting, _, example = CONFIGURATION_TEXT.partition("# integrity:")
    text = setting + "\n".join(line.removeprefix("# ") for line in f"# integrity:{example}".splitlines())
    policy = read_policy(Snapshot("0" * 40, {}, {".aicd.yml": text.encode()}), {})
    finding = IntegrityFinding(kind="test-vanished", fails=True, file="tests/legacy/test_old.py")
    assert policy.notes == ()
    assert not policy.apply(finding).fails
    assert policy.apply(finding.model_copy(update={"file": "tests/test_new.py"})).fails


def test_second_init_says_what_was_there_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    assert run(["init", "--repo", str(tmp_path)]) == 0
    assert "created .aicd.yml" in capsys.readouterr().out
    (tmp_path / ".aicd.yml").unlink()
    assert run(["init", "--repo", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert ".github/workflows/aicd.yml was there already" in told
    assert "created .aicd.yml" in told
