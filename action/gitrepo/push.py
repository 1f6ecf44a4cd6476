"""Pushing a branch: only what may be pushed, and only over commits that this sprint made itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from action.gitrepo.git import Remote, talk
from action.gitrepo.leaks import leaks_on_the_way
from action.gitrepo.protected import find_refusals, touched_on_the_way
from controlplane.errors import NotAllowed


def push_branch(
    remote: Remote,
    repository: Path,
    head: str,
    branch: str,
    base: str,
    lease: str,
    limit: int,
    secrets: Sequence[str] = (),
) -> None:
    """Push `head` as `branch`; raises NotAllowed for a change that may not leave, CallerError when the branch moved.

    `lease` is the commit the branch must still have there (empty: it must not exist). Pushing the same commit again
    does nothing, so a second attempt after a lost answer is safe.
    """
    refusals = find_refusals(repository, base, head, limit, secrets)
    on_the_way = touched_on_the_way(repository, base, head)
    if refusals or on_the_way:
        named = "; ".join(f"{r.path or 'the change'}: {r.reason}" for r in refusals) or ", ".join(on_the_way)
        raise NotAllowed(f"The change was not pushed: {named}.", "Leave these paths alone.", "push-refused")
    if leaks_on_the_way(repository, base, head, secrets):
        said = "an earlier state or the message of one of its commits holds a secret"
        raise NotAllowed(f"The change was not pushed: {said}.", "Begin the work anew.", "push-refused")
    if remote_head(remote, repository, branch) == head:
        return
    talk(
        remote, repository, "push", "--quiet", "--no-verify", f"--force-with-lease=refs/heads/{branch}:{lease}",
        "--", remote.url, f"{head}:refs/heads/{branch}",
    )  # fmt: skip


def remote_head(remote: Remote, repository: Path, branch: str) -> str:
    """The commit the branch has on the remote, empty when it is not there."""
    line = talk(remote, repository, "ls-remote", "--", remote.url, f"refs/heads/{branch}")
    return line.split("\t")[0] if line.strip() else ""
