"""Where a sprint begins that needs the work of several others: one commit that joins them, made in our clone.

The same commits give the same merge, with the same id, so that a run that is repeated begins at the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from action.gitrepo.git import git, text
from action.gitrepo.workspace import AUTHOR
from controlplane.errors import CallerError, Conflict
from controlplane.noun import Noun

CONFLICTS = 1  # the exit code of git-merge-tree where the files do not fit together
MOST_NAMED = 10


class Needed(Noun):
    """The work of a sprint that this one depends on."""

    label: str
    branch: str = ""
    commit: str


def join_commits(repository: Path, needed: Sequence[Needed]) -> str:
    """The commit that holds the work of all; one of them where it holds the others already.

    Raises Conflict that names the sprints and the files where they do not fit together.
    """
    head = needed[0].commit
    for one in needed[1:]:
        if _is_within(repository, one.commit, head):
            continue
        head = one.commit if _is_within(repository, head, one.commit) else _merge(repository, head, one, needed)
    return head


def _merge(repository: Path, head: str, other: Needed, needed: Sequence[Needed]) -> str:
    done = git(repository, "merge-tree", "--write-tree", "--name-only", "-z", head, other.commit, check=False)
    parts = done.stdout.decode(errors="replace").split("\0")
    labels = " and ".join(one.label for one in needed)
    if done.returncode == CONFLICTS:
        files = [name for name in parts[1 : parts.index("", 1)] if name] if "" in parts[1:] else parts[1:]
        more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
        raise Conflict(
            f"The work of the sprints {labels} does not fit together: both changed "
            f"{', '.join(files[:MOST_NAMED]) or 'the same files'}{more}.",
            "Let one of them depend on the other in the specification, or merge their branches and start again.",
            "sprints-conflict",
        )
    if done.returncode != 0:
        raise CallerError(
            f"The work of the sprints {labels} cannot be merged on this runner.",
            "It needs git 2.38 or newer, and branches that have a commit in common.",
            "merge-impossible",
        )
    when = max(int(text(repository, "log", "-1", "--format=%ct", commit)) for commit in (head, other.commit))
    dates = {"GIT_AUTHOR_DATE": f"{when} +0000", "GIT_COMMITTER_DATE": f"{when} +0000"}
    made = git(
        repository, "commit-tree", "-p", head, "-p", other.commit, "-F", "-", parts[0],
        environment={**AUTHOR, **dates}, stdin=f"Bring the sprints {labels} together\n".encode(),
    )  # fmt: skip
    return made.stdout.decode().strip()


def _is_within(repository: Path, commit: str, head: str) -> bool:
    return git(repository, "merge-base", "--is-ancestor", commit, head, check=False).returncode == 0
