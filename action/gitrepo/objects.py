"""A change as data: git's objects of base and head in one pack, without references, configuration or hooks.

The receiving job has no token to fetch with, so the base's files travel with the change. History before the base does
not: the base becomes a shallow commit there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from action.gitrepo.git import git, names, text
from controlplane.change import EMPTY_TREE, Change
from controlplane.errors import CallerError

MAX_COMMITS = 300
COMMIT = re.compile(r"[0-9a-f]{40}")


class ObjectsRefused(CallerError):
    """The change that was handed over is not one that this run may publish."""

    default_code = "change-refused"


def write_objects(repository: Path, base: str, head: str, file: Path, below: Sequence[str] = ()) -> None:
    """All objects that `head` needs, in `file`. `below` are the commits that a base of ours joins."""
    span = [head] if base == EMPTY_TREE else [f"{base}..{head}"]
    listed = text(repository, "rev-list", "--objects", *span).splitlines()
    if base != EMPTY_TREE:
        listed += text(repository, "rev-list", "--objects", "--no-walk", base, *below).splitlines()
    wanted = "\n".join(sorted({line.split(" ", 1)[0] for line in listed})) + "\n"
    packed = git(repository, "pack-objects", "--stdout", "-q", stdin=wanted.encode())
    file.write_bytes(packed.stdout)


def read_objects(file: Path, repository: Path, base: str, head: str, branch: str, below: Sequence[str] = ()) -> Change:
    """A new bare repository with the change in it; every object is checked as it comes in.

    Raises ObjectsRefused where a commit is missing, or `head` was not made from `base`.
    """
    if not all(COMMIT.fullmatch(commit) for commit in (head, base, *below)):
        raise _refused("its commits are not named by their full hashes")
    git(None, "init", "--quiet", "--bare", "--template=", str(repository))
    if base != EMPTY_TREE:
        # A base that only we have must not be where history ends, or nobody would take it from us.
        (repository / "shallow").write_text("".join(f"{end}\n" for end in below or (base,)), encoding="ascii")
    checked = ("-c", "fetch.fsckObjects=true", "-c", "core.bigFileThreshold=64m", "index-pack", "--strict", "--stdin")
    if git(repository, *checked, stdin=file.read_bytes(), check=False).returncode != 0:
        raise _refused("git does not accept its objects")
    _check_descent(repository, base, head)
    return Change(repository=repository, base=base, head=head, branch=branch, files=_changed(repository, base, head))


def _check_descent(repository: Path, base: str, head: str) -> None:
    span = [head] if base == EMPTY_TREE else [f"{base}..{head}"]
    walked = git(repository, "rev-list", "--objects", "--quiet", f"--max-count={MAX_COMMITS + 1}", *span, check=False)
    if walked.returncode != 0:
        raise _refused("objects are missing from it")
    if base == EMPTY_TREE:
        return
    if git(repository, "merge-base", "--is-ancestor", base, head, check=False).returncode != 0:
        raise _refused("it was not made from the commit that this run began at")
    parents = {word for line in text(repository, "rev-list", "--parents", *span).splitlines() for word in line.split()}
    count = len(text(repository, "rev-list", *span).splitlines())
    if count > MAX_COMMITS or len(parents) > count + 1:
        raise _refused("its history is not a line of commits on top of where this run began")


def _changed(repository: Path, base: str, head: str) -> tuple[str, ...]:
    return names(repository, "diff", "--name-only", "--no-renames", "-z", base, head)


def _refused(reason: str) -> ObjectsRefused:
    return ObjectsRefused(f"The change was refused: {reason}.", "Run the whole workflow again.")
