"""`aicd deliver`: the action's verbs on a repository of this machine, without any control plane."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Aicd
from tests.acceptance.test_send import SPEC

pytestmark = pytest.mark.acceptance


def git(repo: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=repo, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    (repo / "README.md").write_text("# greeter\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Begin")
    return repo


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def test_spec_with_files_is_delivered_as_a_branch(
    state_folder: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "private.pem").write_text(openssl("genpkey", "-algorithm", "ed25519"))
    (tmp_path / "public.pem").write_text(openssl("pkey", "-in", str(tmp_path / "private.pem"), "-pubout"))
    monkeypatch.setenv("AICD_SIGNING_KEY", (tmp_path / "private.pem").read_text())
    outcome = Aicd(state_folder / "deliver").json("deliver", str(tmp_path / "spec.yaml"), "--repo", str(repository))
    assert outcome["result"] == "PASSED"
    [sprint] = outcome["sprints"]
    assert sprint["verdict"]["result"] == "PASSED"
    assert git(repository, "rev-parse", sprint["branch"]) == sprint["commit"]
    assert "greet" in git(repository, "show", f"{sprint['branch']}:greeter.py")
    assert git(repository, "status", "--porcelain") == "", "the user's own working tree is left alone"
    assert Path(sprint["report"]).is_file()
    checked = Aicd(state_folder / "deliver").json(
        "verify-bundle", sprint["bundle"], "--key", str(tmp_path / "public.pem")
    )
    assert (checked["valid"], checked["signature"]) == (True, "trusted")
    assert {"aicd", "coverage", "git", "pytest", "python"} <= checked["manifest"]["tools"].keys()


def test_wrong_spec_is_refused_with_its_line(state_folder: Path, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.replace("coverage_min: 0.9", "coverage_min: 90"))
    done = Aicd(state_folder / "deliver").run("deliver", str(tmp_path / "spec.yaml"), "--repo", str(repository))
    assert done.returncode == 1
    assert "line 16" in done.stderr


def test_folder_that_is_no_repository_is_a_usage_error(state_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    done = Aicd(state_folder / "deliver").run("deliver", str(tmp_path / "spec.yaml"), "--repo", str(tmp_path))
    assert done.returncode == 2
