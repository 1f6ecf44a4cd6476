"""Sprints that need the work of several others: joined in our clone, the same each time, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.gitrepo.clone import StartingPoint, Wish, fetch_repository
from action.gitrepo.git import Remote, git, text
from action.gitrepo.merge import Needed
from action.gitrepo.objects import read_objects, write_objects
from action.gitrepo.push import push_branch
from action.gitrepo.trailers import Trailers
from action.gitrepo.workspace import commit_tree
from controlplane.errors import Conflict
from tests.unit.action.conftest import run_git

OWN = Trailers(run="r", spec="spec", sprint="S3")


def work(area: Path, branch: str, name: str, content: str = "x\n") -> Needed:
    """A sprint's branch on the remote, from main, with one file."""
    clone = area / "clone"
    run_git(clone, "checkout", "-q", "-B", branch, "main")
    (clone / name).write_text(content)
    run_git(clone, "add", "-A")
    run_git(clone, "commit", "-qm", branch)
    run_git(clone, "push", "-q", "-f", "origin", branch)
    return Needed(label=branch, branch=branch, commit=run_git(clone, "rev-parse", "HEAD"))


def begin(area: Path, origin: Path, *needed: Needed, name: str = "ours") -> tuple[Path, StartingPoint]:
    repository = area / f"{name}.git"
    first = needed[0]
    wish = Wish(
        branch="aicd/s3", branch_is_named=False, previous_branch=first.branch, previous_commit=first.commit,
        needed=needed,
    )  # fmt: skip
    return repository, fetch_repository(Remote(str(origin)), repository, wish, OWN)


def files(repository: Path, commit: str) -> set[str]:
    return set(text(repository, "ls-tree", "-r", "--name-only", commit).splitlines())


def test_work_of_both_is_there_and_a_second_runner_begins_at_the_same_commit(area: Path, origin: Path) -> None:
    one, two = work(area, "s1", "one.txt"), work(area, "s2", "two.txt")
    repository, point = begin(area, origin, one, two)
    assert {"one.txt", "two.txt", "calc/__init__.py"} <= files(repository, point.base)
    assert (point.target, set(point.below)) == ("s1", {one.commit, two.commit})
    assert begin(area, origin, one, two, name="again")[1].base == point.base


def test_work_that_holds_the_other_already_needs_no_merge(area: Path, origin: Path) -> None:
    one = work(area, "s1", "one.txt")
    clone = area / "clone"
    (clone / "two.txt").write_text("x\n")
    run_git(clone, "checkout", "-q", "-b", "s2")
    run_git(clone, "add", "-A")
    run_git(clone, "commit", "-qm", "s2")
    run_git(clone, "push", "-q", "origin", "s2")
    two = Needed(label="s2", branch="s2", commit=run_git(clone, "rev-parse", "HEAD"))
    _, point = begin(area, origin, one, two)
    assert (point.base, point.below) == (two.commit, ())


def test_sprints_that_changed_the_same_lines_are_refused_with_their_names_and_files(area: Path, origin: Path) -> None:
    one, two = work(area, "s1", "same.txt", "1\n"), work(area, "s2", "same.txt", "2\n")
    with pytest.raises(Conflict) as caught:
        begin(area, origin, one, two)
    assert caught.value.code == "sprints-conflict"
    assert "s1 and s2" in caught.value.message
    assert "same.txt" in caught.value.message


def test_branch_that_was_squashed_and_deleted_is_looked_for_in_the_target(area: Path, origin: Path) -> None:
    one, two = work(area, "s1", "one.txt"), work(area, "s2", "two.txt")
    clone = area / "clone"
    run_git(clone, "checkout", "-q", "main")
    run_git(clone, "merge", "-q", "--squash", "s2")
    run_git(clone, "commit", "-qm", "two, squashed")
    run_git(clone, "push", "-q", "origin", "main", ":s2")
    repository, point = begin(area, origin, one, two)
    assert {"one.txt", "two.txt"} <= files(repository, point.base)


def test_change_on_a_merge_of_ours_is_handed_over_and_pushed_from_a_job_without_history(
    area: Path, origin: Path
) -> None:
    one, two = work(area, "s1", "one.txt"), work(area, "s2", "two.txt")
    repository, point = begin(area, origin, one, two)
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"three\n").stdout.decode().strip()
    listed = git(repository, "ls-tree", point.base).stdout + f"100644 blob {blob}\tthree.txt\n".encode()
    tree = git(repository, "mktree", stdin=listed).stdout.decode().strip()
    head = commit_tree(repository, tree, point.base, "Three", OWN)
    write_objects(repository, point.base, head, area / "pack", point.below)
    elsewhere = area / "publisher.git"
    change = read_objects(area / "pack", elsewhere, point.base, head, "aicd/s3", point.below)
    assert change.files == ("three.txt",)
    push_branch(Remote(str(origin)), elsewhere, head, "aicd/s3", point.base, "", 1000)
    assert {"one.txt", "two.txt", "three.txt"} <= files(origin, "aicd/s3")
    assert text(origin, "rev-list", "--count", "main..aicd/s3") == "4"
