"""`aicd verify` on a repository with no code: what it says beside the verdict."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from local.cli import run
from local.commands.verify import forget_old_reports


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "README.md").write_text("# x\n")
    (tmp_path / "dod.yaml").write_text("diff_coverage_min: 0.9\n")
    return commit(folder)


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> Path:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "work")
    return folder


def verify(repository: Path, *more: str) -> int:
    dod = repository.parent / "dod.yaml"
    return run(["verify", "--repo", str(repository), "--base", "main~1", "--head", "main", "--dod", str(dod), *more])


def test_policy_that_is_not_understood_is_warned_of(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".aicd.yml").write_text("integrity: {alow: [test-failed]}\n")
    commit(repository)
    (repository / "README.md").write_text("# y\n")
    commit(repository)
    verify(repository)
    told = capsys.readouterr().err
    assert "warning: .aicd.yml: 'integrity.alow' is read by nothing; did you mean allow?" in told


def test_work_that_is_not_committed_is_said_not_to_be_judged(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "README.md").write_text("# y\n")
    commit(repository)
    (repository / "README.md").write_text("# z\n")
    (repository / "new").mkdir()
    (repository / "new" / "a.md").touch()
    verify(repository)
    assert "note: 2 uncommitted files are not judged: commit them first" in capsys.readouterr().err


def test_empty_change_is_said_to_be_empty_and_a_clean_tree_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(repository, "--base", "main")
    told = capsys.readouterr().err
    assert "note: the change is empty: base and head are both " in told
    assert "uncommitted" not in told


def test_old_reports_are_forgotten_but_for_the_newest_and_what_may_be_in_use(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"aicd-reports-{number}").mkdir()
        long_ago = time.time() - 90_000 - number
        os.utime(tmp_path / f"aicd-reports-{number}", (long_ago, long_ago))
    (tmp_path / "other").mkdir()
    (tmp_path / "aicd-reports-link").symlink_to(tmp_path / "other")
    forget_old_reports(tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"other", "aicd-reports-link", *(f"aicd-reports-{number}" for number in range(5))}
    for path in tmp_path.iterdir():
        os.utime(path)
    for number in range(10, 20):
        (tmp_path / f"aicd-reports-{number}").mkdir()
    forget_old_reports(tmp_path)
    assert len(list(tmp_path.glob("aicd-reports-*"))) == 16, "what is young may be in use"
