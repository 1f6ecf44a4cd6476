"""Reading a repository that may be hostile, and writing checkouts of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.verify.checkout import Snapshot, lay_over, leads_out, write_checkout
from action.verify.repository import Repository
from controlplane.change import EMPTY_TREE
from controlplane.errors import UsageError
from tests.unit.action.verify.conftest import commit_all, git, make_snapshot


def load(folder: Path, reference: str = "main") -> Snapshot:
    repository = Repository(folder)
    return Snapshot.load(repository, repository.resolve(reference))


def test_snapshot_holds_the_committed_bytes_not_the_working_tree(repository: Path) -> None:
    (repository / "module.py").write_text("VALUE = 2\n")
    assert load(repository).contents["module.py"] == b"VALUE = 1\n"


@pytest.mark.parametrize("reference", ["nowhere", "--output=x", "main^{tree}", "", "HEAD:module.py"])
def test_unknown_reference_is_the_callers_mistake(reference: str, repository: Path) -> None:
    with pytest.raises(UsageError, match="no commit"):
        Repository(repository).resolve(reference)


def test_folder_without_a_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        Repository(tmp_path).resolve("HEAD")


def test_empty_tree_stands_for_a_repository_without_commits(repository: Path) -> None:
    assert load(repository, EMPTY_TREE).contents == {}


def test_hooks_filters_monitors_and_attributes_of_the_repository_do_nothing(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    program = tmp_path / "trap.sh"
    program.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    program.chmod(0o755)
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        (repository / ".git" / "hooks" / hook).symlink_to(program)
    (repository / ".gitattributes").write_text("*.py filter=trap\nREADME.md export-ignore\nmodule.py export-subst\n")
    (repository / "module.py").write_text("VALUE = '$Format:%H$'\n")
    commit_all(repository)
    trap.unlink(missing_ok=True)
    for setting in ("filter.trap.smudge", "filter.trap.process", "core.fsmonitor", "core.sshCommand", "core.pager"):
        git(repository, "config", setting, str(program))
    write_checkout(load(repository), tmp_path / "checkout")
    assert not trap.exists()
    assert (tmp_path / "checkout" / "README.md").exists()
    assert (tmp_path / "checkout" / "module.py").read_text() == "VALUE = '$Format:%H$'\n"


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a/link", "../b", False),
        ("a/link", "../../b", True),
        ("link", "/etc/passwd", True),
        ("link", "sub/../../x", True),
        ("link", ".git/config", True),
        ("link", "", True),
        ("a/b/link", "../c/../d", False),
    ],
)
def test_link_is_followed_only_inside_the_tree(path: str, target: str, out: bool) -> None:
    assert leads_out(path, target) is out


def test_link_that_leads_out_is_written_as_a_plain_file(tmp_path: Path) -> None:
    write_checkout(make_snapshot({}, {"in": "x", "out": "/etc/passwd"}), tmp_path / "checkout")
    assert not (tmp_path / "checkout" / "out").is_symlink()
    assert (tmp_path / "checkout" / "out").read_text() == "/etc/passwd"
    assert (tmp_path / "checkout" / "in").is_symlink()


def test_laid_over_tree_has_the_heads_code_and_the_bases_tests() -> None:
    base = make_snapshot({"code.py": "old", "tests/test_a.py": "base", "conftest.py": "base"})
    head = make_snapshot(
        {"code.py": "new", "tests/test_b.py": "head", "conftest.py": "head", "pkg/conftest.py": "head"}
    )
    assert lay_over(base, head).contents == {"code.py": b"new", "tests/test_a.py": b"base", "conftest.py": b"base"}


def test_link_in_the_place_of_a_test_folder_does_not_catch_what_is_laid_over(tmp_path: Path) -> None:
    base = make_snapshot({"tests/test_a.py": "base"})
    head = make_snapshot({"elsewhere/x": "x"}, {"tests": "elsewhere"})
    write_checkout(lay_over(base, head), tmp_path / "checkout")
    assert (tmp_path / "checkout" / "tests" / "test_a.py").read_text() == "base"
    assert not (tmp_path / "checkout" / "elsewhere" / "test_a.py").exists()
