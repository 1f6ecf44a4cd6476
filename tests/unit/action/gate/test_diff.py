"""Changed lines, as git has them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from action.gate.diff import changed_lines
from controlplane.errors import CallerError


def git(folder: Path, *arguments: str) -> None:
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a.py").write_text("one\ntwo\nthree\n")
    (tmp_path / "gone.py").write_text("x\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "base")
    git(tmp_path, "checkout", "-qb", "work")
    return tmp_path


def commit(repository: Path, **files: str | None) -> None:
    for name, text in files.items():
        path = repository / name.replace("__", " ").replace("_py", ".py")
        path.unlink() if text is None else path.write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "change")


def test_added_and_altered_lines_are_found_and_deleted_ones_are_not(repository):
    commit(repository, a_py="one\nTWO\nthree\nfour\n", new_py="x\ny\n", gone_py=None)
    assert changed_lines(repository, "main", "work") == {"a.py": {2, 4}, "new.py": {1, 2}}


def test_line_that_looks_like_a_header_is_none(repository):
    commit(repository, a_py="one\n++ b/evil.py\n@@ -1 +1,9 @@\nthree", b_py="z")
    assert changed_lines(repository, "main", "work") == {"a.py": {2, 3, 4}, "b.py": {1}}


def test_what_the_base_gained_meanwhile_is_no_part_of_the_change(repository):
    commit(repository, new_py="x\n")
    git(repository, "checkout", "-q", "main")
    commit(repository, other_py="y\n")
    assert changed_lines(repository, "main", "work") == {"new.py": {1}}


def test_names_with_blanks_and_umlauts_are_kept(repository):
    commit(repository, a__ü_py="x\n")
    assert changed_lines(repository, "main", "work") == {"a ü.py": {1}}


def test_settings_of_the_repository_are_not_heard(repository):
    git(repository, "config", "diff.external", "touch ran")
    git(repository, "config", "diff.noprefix", "true")
    commit(repository, new_py="x\n")
    assert changed_lines(repository, "main", "work") == {"new.py": {1}}
    assert not (repository / "ran").exists()


@pytest.mark.parametrize("base", ["nowhere", "--output=x", ""])
def test_base_that_is_none_is_a_clear_refusal(repository, base):
    with pytest.raises(CallerError) as raised:
        changed_lines(repository, base, "work")
    assert raised.value.fix
