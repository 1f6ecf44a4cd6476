"""The change: what was built, as git sees it."""

from __future__ import annotations

from pathlib import Path

from controlplane.noun import Noun


class Change(Noun):
    """Commits on a branch of a local repository.

    `base` and `head` are full commit ids; `base` is the commit the work started from. In a repository that had no
    commit, `base` is git's empty tree.
    """

    repository: Path
    base: str
    head: str
    branch: str = ""
    files: tuple[str, ...] = ()


EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
