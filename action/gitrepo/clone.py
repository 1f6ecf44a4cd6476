"""Fetching the target repository, and deciding where work starts.

| the branch to build on | work starts at | and is pushed |
|---|---|---|
| does not exist | the previous sprint's commit, or a merge of several, else the target branch | as a new branch |
| ends in commits of this very sprint | where those began, or the target branch for a branch of ours | over them |
| holds other commits, and the spec named it | its last commit | on top, fast-forward |
| holds other commits, and the name is ours | nowhere: refused, so that nobody's work is overwritten | never |

Shallow, and complete in what it has. A partial clone (`--filter=blob:none`) would be smaller, but it fetches files when
they are first read: in steps that have no token, out of a repository that another one was to be filled from. It deepens
where the work of several sprints has to be joined and their histories do not meet in what was fetched.
"""

from __future__ import annotations

from pathlib import Path

from action.gitrepo.git import Remote, git, talk, text
from action.gitrepo.merge import Needed, join_commits
from action.gitrepo.trailers import Trailers, read_trailers
from action.gitrepo.workspace import AUTHOR
from controlplane.change import EMPTY_TREE
from controlplane.errors import CallerError, Conflict, NotFound
from controlplane.noun import Noun

DEPTH = 200
# Each step costs a round trip; None is all there is.
DEEPER: tuple[int | None, ...] = (1_000, 10_000, None)


class StartingPoint(Noun):
    """`base` is a commit, or git's empty tree; `target` the branch a pull request is for, empty in an empty repository.

    `remote_head` is the commit the branch has on the remote, empty when it is not there: the lease of the push. `below`
    are the commits that `base` joins, where it is a merge of ours that the remote does not have.
    """

    base: str
    branch: str
    target: str
    remote_head: str = ""
    below: tuple[str, ...] = ()


class Wish(Noun):
    """What the spec and the maintainer want. `branch_is_named`: the spec chose the name, so others may use it too.
    `needed` is the work of all sprints that this one depends on.
    """

    branch: str
    branch_is_named: bool
    target: str = ""
    previous_branch: str = ""
    previous_commit: str = ""
    needed: tuple[Needed, ...] = ()


def fetch_repository(remote: Remote, repository: Path, wish: Wish, own: Trailers) -> StartingPoint:
    """Fill the bare repository with what is needed, shallow; raises NotFound for a target branch that is not there."""
    if not (repository / "HEAD").exists():
        git(None, "init", "--quiet", "--bare", "--template=", str(repository))
    heads, default = list_heads(remote, repository)
    if not heads:
        return StartingPoint(base=EMPTY_TREE, branch=wish.branch, target="")
    target = wish.target or default or "main"
    stacked = wish.previous_branch and wish.previous_branch != wish.branch and wish.previous_branch in heads
    if target not in heads:
        raise NotFound(
            f"The repository has no branch '{target}' to target.", "Create it, or set `target-branch`.", "no-target"
        )
    if wish.branch == target:
        raise CallerError(
            f"The specification wants its work on '{target}' itself, which would need no pull request.",
            "Name another branch in the specification's policies.",
            "branch-is-target",
        )
    others = [one.branch for one in wish.needed]
    wanted = {name for name in (target, wish.branch, wish.previous_branch, *others) if name in heads}
    refs = [f"+refs/heads/{name}:refs/remotes/origin/{name}" for name in sorted(wanted)]
    talk(remote, repository, "fetch", "--quiet", "--no-tags", f"--depth={DEPTH}", "--", remote.url, *refs)
    if len(wish.needed) > 1:
        _deepen_until_they_meet(remote, repository, refs, [f"refs/remotes/origin/{name}" for name in sorted(wanted)])
    fresh = _fresh_start(repository, wish, heads, target)
    base = _starting_commit(repository, wish, own, heads, fresh)
    return StartingPoint(
        base=base,
        branch=wish.branch,
        target=wish.previous_branch if stacked else target,
        remote_head=heads.get(wish.branch, ""),
        below=joined_commits(repository, base) if base == fresh and len(wish.needed) > 1 else (),
    )


def _deepen_until_they_meet(remote: Remote, repository: Path, refs: list[str], tips: list[str]) -> None:
    """Every branch that was fetched has a commit in common with the first; or all of their history is there."""
    for more in DEEPER:
        if all(_meet(repository, tips[0], tip) for tip in tips[1:]):
            return
        if text(repository, "rev-parse", "--is-shallow-repository") != "true":
            return
        how = f"--deepen={more}" if more else "--unshallow"
        talk(remote, repository, "fetch", "--quiet", "--no-tags", how, "--", remote.url, *refs)


def _meet(repository: Path, one: str, other: str) -> bool:
    return git(repository, "merge-base", one, other, check=False).returncode == 0


def list_heads(remote: Remote, repository: Path) -> tuple[dict[str, str], str]:
    """Branches of the remote with their commits, and the name of its default branch (empty when it tells none)."""
    heads: dict[str, str] = {}
    default = ""
    answer = talk(remote, repository, "ls-remote", "--symref", "--", remote.url, "HEAD", "refs/heads/*")
    for line in answer.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: refs/heads/") and name == "HEAD":
            default = value.removeprefix("ref: refs/heads/")
        elif name.startswith("refs/heads/"):
            heads[name.removeprefix("refs/heads/")] = value
    return heads, default


def _starting_commit(repository: Path, wish: Wish, own: Trailers, heads: dict[str, str], fresh: str) -> str:
    head = heads.get(wish.branch)
    if head is None:
        return fresh
    below = commit_below_own(repository, head, own)
    if below != head and not wish.branch_is_named:
        return fresh
    if wish.branch_is_named:
        return below
    if head == fresh:
        return fresh
    raise Conflict(
        f"The branch '{wish.branch}' holds commits that are not this sprint's.",
        "Rename or delete it, or name a branch in the specification's policies.",
        "branch-taken",
    )


def _fresh_start(repository: Path, wish: Wish, heads: dict[str, str], target: str) -> str:
    """Squashed and deleted, the previous sprint's work is in the target branch; rewritten, it is its branch's head."""

    def place(branch: str, commit: str) -> str:
        return commit if commit and _exists(repository, commit) else heads.get(branch) or heads[target]

    first = place(wish.previous_branch, wish.previous_commit)
    if len(wish.needed) < 2:
        return first
    found = [one.model_copy(update={"commit": place(one.branch, one.commit)}) for one in wish.needed]
    # The nearest one first: a pull request targets its branch.
    found.sort(key=lambda one: one.commit != first)
    return join_commits(repository, found)


def joined_commits(repository: Path, base: str) -> tuple[str, ...]:
    """The commits of others below our own merges; empty where `base` is no merge of ours."""
    ours = AUTHOR["GIT_COMMITTER_EMAIL"]
    open_ends, found = [base], []
    while open_ends:
        commit = open_ends.pop()
        said = text(repository, "log", "-1", "--format=%ce %P", commit).split()
        if len(said) < 3 or said[0] != ours:
            found.append(commit)
        else:
            open_ends += said[1:]
    return () if found == [base] else tuple(sorted(found))


def commit_below_own(repository: Path, head: str, own: Trailers) -> str:
    """The first commit, going back from `head` by first parents, that this sprint did not make."""
    for commit in text(repository, "rev-list", "--first-parent", f"--max-count={DEPTH}", head).splitlines():
        if not read_trailers(repository, commit).same_sprint(own):
            return commit
    return EMPTY_TREE


def _exists(repository: Path, commit: str) -> bool:
    return git(repository, "cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0
