"""The agent's own clone, and taking its work back into the repository we trust.

No git ever runs *in* the agent's repository once the agent had it: its configuration, hooks and references are never
read by a git of ours. Its objects are copied and checked one by one, its commits are written anew with our name and
trailers, and what its files say in the end is put on top.
"""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

from action.gitrepo.git import git, names, text
from action.gitrepo.protected import touched_on_the_way
from action.gitrepo.trailers import Trailers
from controlplane.change import EMPTY_TREE
from controlplane.errors import BrokenPromise, CallerError
from controlplane.noun import Noun

AUTHOR = {
    "GIT_AUTHOR_NAME": "aicd",
    "GIT_AUTHOR_EMAIL": "aicd@users.noreply.github.com",
    "GIT_COMMITTER_NAME": "aicd",
    "GIT_COMMITTER_EMAIL": "aicd@users.noreply.github.com",
}
MAX_OWN_COMMITS = 100
MAX_NEW_BYTES = 100 * 1024 * 1024  # GitHub refuses a single file above this, too
COMMIT_ID = re.compile(r"[0-9a-f]{40}")
MAX_MESSAGE = 4000
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
LINKED = re.compile(r"([@#]|\bGH-|:(?=//))(?=[\w/])", re.IGNORECASE)
FOREIGN_TRAILER = re.compile(r"(aicd-[a-z]+|[a-z-]+-by|fixes|closes|resolves):", re.IGNORECASE)


def prepare_workspace(repository: Path, workspace: Path, base: str, branch: str) -> None:
    """A fresh clone on `branch` at `base`, with copied objects and no remote; whatever was there is removed."""
    if workspace.exists():
        shutil.rmtree(workspace)
    git(None, "init", "--quiet", "--template=", f"--initial-branch={branch}", str(workspace))
    if base == EMPTY_TREE:
        return
    inside = workspace / ".git"
    git(inside, "fetch", "--quiet", "--no-tags", f"file://{repository.absolute()}", base)
    git(inside, f"--work-tree={workspace}", "reset", "--quiet", "--hard", base)


class Taken(Noun):
    """`head` is ours and trusted; `seen` is the agent's own HEAD, from which its next commits are counted."""

    head: str
    seen: str


def take_work(repository: Path, workspace: Path, before: Taken, message: str, trailers: Trailers) -> Taken:
    """Put what the workspace holds on top of `before`; the same head when no file differs.

    The agent's own commits since `before.seen` stay below ours. Raises CallerError for files that cannot become a
    commit: too large, unreadable, a repository without a commit inside.
    """
    tree = _snapshot(repository, workspace, before.head)
    if tree == tree_of(repository, before.head):
        return before
    below = _agents_commits(repository, workspace, before, trailers)
    if tree != tree_of(repository, below.head):
        below = Taken(head=commit_tree(repository, tree, below.head, message, trailers), seen=below.seen)
    return below


def commit_tree(repository: Path, tree: str, parent: str, message: str, trailers: Trailers) -> str:
    """One commit by us, with a message that GitHub takes for plain words.

    `@name` would write to a stranger, `fixes #12` would close an issue on merge, and trailers are ours to write.
    """
    lines = CONTROL.sub("", message).strip()[:MAX_MESSAGE].splitlines()
    body = "\n".join(line for line in lines if not FOREIGN_TRAILER.match(line)).strip() or "Work without words"
    body = LINKED.sub("\\1\u200b", body)
    parents = () if parent == EMPTY_TREE else ("-p", parent)
    done = git(
        repository, "commit-tree", *parents, "-F", "-", tree,
        environment=AUTHOR, stdin=f"{body}\n\n{trailers.lines()}\n".encode(),
    )  # fmt: skip
    return done.stdout.decode().strip()


def tree_of(repository: Path, commit: str) -> str:
    return EMPTY_TREE if commit == EMPTY_TREE else text(repository, "rev-parse", f"{commit}^{{tree}}")


def _snapshot(repository: Path, workspace: Path, base: str) -> str:
    """The tree of the workspace's files, .gitignore respected, by an index and a configuration of our own."""
    index = {"GIT_INDEX_FILE": str(repository / "aicd-index")}
    where = ("-c", "core.bare=false", f"--work-tree={workspace}")
    git(repository, "read-tree", tree_of(repository, base), environment=index)
    try:
        listed = names(
            repository, *where, "ls-files", "-z", "--others", "--modified", "--exclude-standard", environment=index
        )
        _refuse_giants(workspace, listed)
        git(repository, *where, "add", "--all", "--", str(workspace), environment=index)
    except BrokenPromise as error:
        raise CallerError(f"The agent's files cannot be committed: {error.message}", code="work-unreadable") from error
    return text(repository, "write-tree", environment=index)


def _refuse_giants(workspace: Path, listed: tuple[str, ...]) -> None:
    sizes = 0
    for name in listed:
        try:
            status = (workspace / name).lstat()
        except OSError:
            continue  # deleted in the meantime or unreadable: git says so itself
        sizes += status.st_size if stat.S_ISREG(status.st_mode) else 0
    if sizes > MAX_NEW_BYTES:
        limit = MAX_NEW_BYTES // 2**20
        raise CallerError(
            f"The agent left {sizes // 2**20} MiB of new or changed files; {limit} MiB is the most.",
            "Put what is generated into .gitignore.",
            "too-large",
        )


def _agents_commits(repository: Path, workspace: Path, before: Taken, trailers: Trailers) -> Taken:
    """The agent's commits written anew on top of `before`; `before` when it made none, or none that may be kept."""
    head = _read_head(workspace / ".git")
    if not head or head == before.seen or not _copy_objects(repository, workspace, before.seen, head):
        return before
    span = [head] if before.seen == EMPTY_TREE else [f"{before.seen}..{head}"]
    commits = text(repository, "rev-list", "--first-parent", "--reverse", *span).splitlines()
    if not commits or len(commits) > MAX_OWN_COMMITS or touched_on_the_way(repository, before.seen, head):
        return before
    below = before.head
    for commit in commits:
        said = text(repository, "log", "-1", "--format=%B", commit)
        below = commit_tree(repository, tree_of(repository, commit), below, said, trailers)
    return Taken(head=below, seen=head)


def _read_head(inside: Path) -> str:
    """The commit that HEAD of an untrusted repository names, read as plain text; empty when it cannot be told."""
    if inside.is_symlink() or not inside.is_dir():
        return ""
    try:
        word = (inside / "HEAD").read_text(encoding="ascii")[:300].strip()
        if word.startswith("ref: refs/heads/") and ".." not in word:
            name = word.removeprefix("ref: ")
            loose = inside / name
            word = loose.read_text(encoding="ascii")[:64].strip() if loose.is_file() else _packed(inside, name)
    except (OSError, UnicodeDecodeError):
        return ""
    return word if COMMIT_ID.fullmatch(word) else ""


def _packed(inside: Path, name: str) -> str:
    lines = (inside / "packed-refs").read_text(encoding="utf-8").splitlines()
    return next((line.split(" ")[0] for line in lines if line.endswith(f" {name}")), "")


def _copy_objects(repository: Path, workspace: Path, base: str, head: str) -> bool:
    """Bring the objects from `base` to `head` into our repository, each one checked; False when that cannot be."""
    theirs = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(workspace / ".git" / "objects")}
    without = [] if base == EMPTY_TREE else [f"^{base}"]
    descends = base == EMPTY_TREE or _ran(repository, theirs, "merge-base", "--is-ancestor", base, head)
    if not descends:
        return False
    usage = git(repository, "rev-list", "--disk-usage", "--objects", head, *without, environment=theirs, check=False)
    if usage.returncode != 0 or int(usage.stdout or b"0") > MAX_NEW_BYTES:
        return False
    wanted = "\n".join([head, *without, ""]).encode()
    packed = git(repository, "pack-objects", "--revs", "--stdout", "-q", environment=theirs, stdin=wanted, check=False)
    if packed.returncode != 0:
        return False
    checked = ("-c", "fetch.fsckObjects=true", "index-pack", "--strict", "--stdin")
    return git(repository, *checked, stdin=packed.stdout, check=False).returncode == 0


def _ran(repository: Path, environment: dict[str, str], *arguments: str) -> bool:
    return git(repository, *arguments, environment=environment, check=False).returncode == 0
