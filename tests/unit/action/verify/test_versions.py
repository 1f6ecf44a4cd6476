"""The versions of what measured: read from names, asked of programs, and nothing where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from action.verify.environment import Environment
from action.verify.interpreter import Interpreter
from action.verify.versions import tool_versions
from controlplane.dod import DefinitionOfDone


def environment(tmp_path: Path) -> Environment:
    for folder, installed in (
        ("tools", ("pytest-9.0.1", "coverage-7.1.0", "idna-3")),
        ("own", ("pytest-8.4.2", "evil")),
    ):
        for name in installed:
            (tmp_path / folder / "lib/python3.11/site-packages" / f"{name}.dist-info").mkdir(parents=True)
    interpreter = Interpreter(Path(sys.executable), "3.11.7 (main)", reachable=True)
    return Environment(tmp_path / "own", tmp_path / "tools", interpreter)


def test_repositorys_own_tool_is_the_one_that_is_named(tmp_path: Path) -> None:
    found = tool_versions(environment(tmp_path), DefinitionOfDone(), node=False)
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    assert found.pop("git") in git
    assert found == {"coverage": "7.1.0", "pytest": "8.4.2", "python": "3.11.7"}


def test_program_that_is_not_there_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROME_PATH", raising=False)
    found = tool_versions(environment(tmp_path), DefinitionOfDone(e2e_pass=True, lighthouse_min=90), node=True)
    assert not {"git", "node", "chromium"} & set(found)
    assert found["lighthouse"]
