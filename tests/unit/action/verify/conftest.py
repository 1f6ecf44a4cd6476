"""Trees made of a few lines, as snapshots and as real repositories."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from action.verify.checkout import Snapshot
from action.verify.repository import Entry

Files = Mapping[str, str]


def make_snapshot(files: Files, links: Files | None = None) -> Snapshot:
    contents = {path: text.encode() for path, text in {**files, **(links or {})}.items()}
    entries = {
        path: Entry("120000" if links and path in links else "100644", hashlib.sha1(data).hexdigest())
        for path, data in contents.items()
    }
    return Snapshot("0" * 40, entries, contents)


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    return make_snapshot


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit: a README and a module."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "README.md").write_text("# Readme\n")
    (folder / "module.py").write_text("VALUE = 1\n")
    commit_all(folder)
    return folder


def commit_all(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "commit")
    return git(folder, "rev-parse", "HEAD")
