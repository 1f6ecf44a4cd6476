"""actionlint and zizmor find nothing in what we ship."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
WORKFLOWS = sorted([*(ROOT / ".github" / "workflows").glob("*.yml"), *(ROOT / "examples" / "workflows").glob("*.yml")])
ZIZMOR = [str(TOOLS / "zizmor"), "--offline", "--no-progress", "--format", "json"]
ZIZMOR += ["--config", str(ROOT / ".github" / "zizmor.yml")]


def run(command: list[str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_there_is_something_to_look_at() -> None:
    assert {"ci.yml", "nightly.yml", "aicd.yml", "gate.yml"} <= {path.name for path in WORKFLOWS}


def test_wide_tests_run_every_night() -> None:
    nightly = YAML(typ="safe").load((ROOT / ".github" / "workflows" / "nightly.yml").read_text(encoding="utf-8"))
    steps = nightly["jobs"]["wide"]["steps"]
    assert nightly["on"]["schedule"]
    assert any(step.get("env") == {"AICD_WIDE_TESTS": "1"} and "make test" in step["run"] for step in steps)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(workflow: Path) -> None:
    command = [str(TOOLS / "actionlint"), "-config-file", str(ROOT / ".github" / "actionlint.yaml"), str(workflow)]
    done = run(command)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    done = run([*ZIZMOR, "action.yml", *(str(path) for path in WORKFLOWS)])
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stdout + done.stderr


def test_zizmor_would_find_an_expression_in_a_script(tmp_path: Path) -> None:
    """The check above can fail: the same command on what we must never ship."""
    bad = (ROOT / "action.yml").read_text(encoding="utf-8") + "    - {shell: bash, run: 'echo ${{ inputs.agent }}'}\n"
    (tmp_path / "action.yml").write_text(bad, encoding="utf-8")
    done = run([*ZIZMOR, str(tmp_path / "action.yml")])
    assert "template-injection" in done.stdout
