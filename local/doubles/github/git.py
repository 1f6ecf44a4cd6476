"""Real git, on bare repositories: the only source of truth for branches, commits and files.

Every call runs git with an environment of our own, so that nobody's configuration, hooks or prompts can interfere.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SHA = re.compile(r"[0-9a-f]{40}")
AUTHOR = ("GitHub Double", "noreply@github.test")
_LOG = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00%x00"


# GitHub keeps refs/pull to itself; actions/checkout fetches a commit by its id.
_SETTINGS = """\
[http]
\treceivepack = true
[receive]
\thideRefs = refs/pull
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[gc]
\tauto = 0
"""


class GitFailedError(Exception):
    """Git said no; the message is its own."""


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    message: str


@dataclass(frozen=True)
class TreeEntry:
    mode: str
    kind: str
    sha: str
    size: int | None
    path: str


@dataclass(frozen=True)
class FileChange:
    """`status` in GitHub's words: added, removed, modified, renamed."""

    sha: str
    path: str
    status: str
    additions: int
    deletions: int
    patch: str | None
    previous_path: str | None = None


def environment(home: Path, **more: str) -> dict[str, str]:
    """What git may know of the world."""
    name, email = AUTHOR
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        **more,
    }


class Git:
    """One bare repository. Methods raise GitFailedError unless they say otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> bytes:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env=environment(self.folder, **({"GIT_INDEX_FILE": str(index)} if index else {})),
        )
        if done.returncode != 0:
            raise GitFailedError(done.stderr.decode("utf-8", "replace").strip() or f"git {arguments[0]} failed")
        return done.stdout

    def text(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> str:
        return self.run(*arguments, stdin=stdin, index=index).decode("utf-8", "replace").strip()

    def initialise(self, default_branch: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run("init", "--quiet", "--bare", f"--initial-branch={default_branch}", ".")
        with (self.folder / "config").open("a", encoding="utf-8") as config:
            config.write(_SETTINGS)

    def resolve(self, revision: str) -> str | None:
        """The commit's id, or None. A branch is preferred to a tag of the same name."""
        if revision.startswith("-") or "\x00" in revision:
            return None
        names = (f"refs/heads/{revision}", f"refs/tags/{revision}", revision)
        for name in names if not SHA.fullmatch(revision) else (revision,):
            try:
                return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            except GitFailedError:
                continue
        return None

    def ref(self, name: str) -> str | None:
        """What a full ref name such as refs/heads/main points to; None when it is not there."""
        return self.refs(name).get(name)

    def refs(self, prefix: str) -> dict[str, str]:
        """Full ref names and their objects, for a ref or everything below `prefix/`."""
        lines = self.text("for-each-ref", "--format=%(objectname) %(refname)", prefix).splitlines()
        return {name: sha for sha, _, name in (line.partition(" ") for line in lines)}

    def move(self, ref: str, sha: str, old: str | None = None) -> None:
        """Moves a ref; with `old` only if it still points there (40 zeros: only if it is new)."""
        self.run("update-ref", ref, sha, *([old] if old else []))

    def delete(self, ref: str) -> None:
        self.run("update-ref", "-d", ref)

    def is_valid_ref(self, ref: str) -> bool:
        try:
            self.run("check-ref-format", ref)
        except (GitFailedError, ValueError):
            return False
        return True

    def is_ancestor(self, older: str, newer: str) -> bool:
        try:
            self.run("merge-base", "--is-ancestor", older, newer)
        except GitFailedError:
            return False
        return True

    def merge_base(self, one: str, other: str) -> str | None:
        try:
            return self.text("merge-base", one, other)
        except GitFailedError:
            return None

    def log(self, revisions: str, *, limit: int = 250, path: str | None = None) -> list[Commit]:
        """Commits, newest first."""
        tail = ["--", path] if path else ["--"]
        raw = self.run(
            "--literal-pathspecs",
            "log",
            f"--max-count={limit}",
            f"--format={_LOG}",
            "--end-of-options",
            revisions,
            *tail,
        )
        return [_commit(record) for record in raw.decode("utf-8", "replace").split("\0\0\n") if record.strip("\0\n")]

    def tree(self, revision: str, path: str = "", *, recursive: bool = False) -> list[TreeEntry]:
        """Entries of a folder, paths from the repository's root; empty when there is no such folder."""
        flags = ["-r", "-t"] if recursive else []
        where = [f"{path.rstrip('/')}/"] if path else []
        try:
            raw = self.run("--literal-pathspecs", "ls-tree", "-z", "-l", *flags, revision, "--", *where)
        except GitFailedError:
            return []
        return [_tree_entry(line) for line in raw.decode("utf-8", "replace").split("\0") if line]

    def entry(self, revision: str, path: str) -> TreeEntry | None:
        try:
            raw = self.run("--literal-pathspecs", "ls-tree", "-z", "-l", revision, "--", path.rstrip("/"))
        except GitFailedError:
            return None
        line = raw.decode("utf-8", "replace").partition("\0")[0]
        return _tree_entry(line) if line else None

    def blob(self, sha: str) -> bytes:
        return self.run("cat-file", "blob", sha)

    def commit_files(self, branch: str, files: Mapping[str, bytes], message: str) -> str:
        """One commit on top of the branch (or its first) that sets these files; returns its id."""
        ref = f"refs/heads/{branch}"
        parent = self.ref(ref)
        with tempfile.TemporaryDirectory(prefix="aicd-index-") as folder:
            index = Path(folder) / "index"
            if parent:
                self.run("read-tree", parent, index=index)
            lines = []
            for path, content in files.items():
                sha = self.text("hash-object", "-w", "--stdin", stdin=content)
                lines.append(f"100644 {sha}\t{path}\0".encode())
            self.run("update-index", "-z", "--index-info", stdin=b"".join(lines), index=index)
            tree = self.text("write-tree", index=index)
        sha = self.commit_tree(tree, (parent,) if parent else (), message)
        self.move(ref, sha, parent or "0" * 40)
        return sha

    def commit_tree(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        flags = [flag for parent in parents for flag in ("-p", parent)]
        return self.text("commit-tree", tree, *flags, stdin=message.encode())

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of a merge; None when it conflicts."""
        try:
            return self.text("merge-tree", "--write-tree", base, head).splitlines()[0]
        except GitFailedError:
            return None

    def changes(self, old: str, new: str) -> list[FileChange]:
        """What differs between two commits, renames found, file by file."""
        flags = ("-M", "--no-color", "--no-ext-diff", "--full-index", old, new, "--")
        raw = self.run("diff", "--raw", "-z", *flags).decode("utf-8", "replace").split("\0")
        counts = self.run("diff", "--numstat", "-z", *flags).decode("utf-8", "replace").split("\0")
        patches = self.run("diff", "--patch", *flags).decode("utf-8", "replace")
        pieces = iter(re.split(r"^diff --git .*\n", patches, flags=re.MULTILINE)[1:])
        found = zip(_raw_changes(raw), _counts(counts), strict=True)
        # A file that became a link (T) is shown by git as a removal and an addition.
        return [_change(r, c, "".join(next(pieces) for _ in range(2 if r[1] == "T" else 1))) for r, c in found]


def _commit(record: str) -> Commit:
    sha, tree, parents, an, ae, ad, cn, ce, cd, message = record.lstrip("\n").split("\0", 9)
    return Commit(sha, tree, tuple(parents.split()), (an, ae, ad), (cn, ce, cd), message.strip("\0").rstrip("\n"))


def _tree_entry(line: str) -> TreeEntry:
    meta, _, path = line.partition("\t")
    mode, kind, sha, size = meta.split()
    return TreeEntry(mode, kind, sha, None if size == "-" else int(size), path)


def _raw_changes(fields: list[str]) -> list[tuple[str, str, str, str | None]]:
    """(new blob, letter, path, old path) of each `git diff --raw -z` record."""
    found: list[tuple[str, str, str, str | None]] = []
    rest = iter(field for field in fields if field)
    for meta in rest:
        _, _, old_sha, new_sha, letter = meta.split()
        path = next(rest)
        previous = path if letter[0] in "RC" else None
        path = next(rest) if previous else path
        found.append((old_sha if letter[0] == "D" else new_sha, letter[0], path, previous))
    return found


def _counts(fields: list[str]) -> Iterator[tuple[str, str]]:
    """(added, deleted) of each `git diff --numstat -z` record; a rename has its two paths in fields of their own."""
    rest = iter(fields)
    for field in rest:
        if not field:
            continue
        added, deleted, path = field.split("\t", 2)
        if not path:
            next(rest), next(rest)
        yield added, deleted


def _change(raw: tuple[str, str, str, str | None], numbers: tuple[str, str], patch: str) -> FileChange:
    sha, letter, path, previous = raw
    words = {"A": "added", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}
    added, deleted = (0 if number == "-" else int(number) for number in numbers)
    start = patch.find("@@ ")
    return FileChange(
        sha, path, words.get(letter, "modified"), added, deleted, patch[start:] if start >= 0 else None, previous
    )
