"""The two shell scripts between action.yml and the verbs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.action.conftest import ROOT


def run(script: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(cwd), "RUNNER_TOOL_CACHE": str(cwd), **variables}
    command = ["bash", str(ROOT / "action" / script), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mode", ["gaet", "", "deliver; touch pwned", "GATE"])
def test_misspelt_mode_fails_at_once_instead_of_running_no_step(tmp_path: Path, mode: str) -> None:
    done = run("setup.sh", cwd=tmp_path, AICD_MODE=mode or " ", AICD_PYTHON=sys.executable)
    assert (done.returncode, "mode" in done.stdout) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_python_without_our_packages_is_named_with_the_fix(tmp_path: Path) -> None:
    done = run("setup.sh", cwd=tmp_path, AICD_PYTHON="/bin/false")
    assert (done.returncode, "requirements/runner.txt" in done.stdout) == (1, True)


def test_runner_without_a_new_enough_python_is_told_what_to_add(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    for name in ("bash", "dirname"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (tools / name).symlink_to(found)
    done = run("setup.sh", cwd=tmp_path, PATH=str(tools))
    assert (done.returncode, "actions/setup-python" in done.stdout) == (1, True), done.stdout + done.stderr


def test_verb_takes_no_module_from_the_repository_or_its_environment(tmp_path: Path) -> None:
    for name in ("action", "pydantic", "sitecustomize", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('shadowed')\n")
    (tmp_path / "usercustomize.py").write_text("raise SystemExit('shadowed')\n")
    given = {"AICD_PYTHON": sys.executable, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "x.py")}
    done = run("verb.sh", "gate", cwd=tmp_path, **given)
    assert (done.returncode, "nothing to judge" in done.stdout) == (2, True), done.stdout


def test_scripts_are_sound_shell() -> None:
    for script in ("setup.sh", "verb.sh"):
        assert subprocess.run(["bash", "-n", str(ROOT / "action" / script)], check=False).returncode == 0
