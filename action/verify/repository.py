"""Reading a repository that may be hostile: commits, trees and contents, and never a hook, filter or attribute of it.

Everything comes from `git ls-tree` and `git cat-file`. A checkout by git would honour the repository's attributes,
filters, hooks and submodules; `git archive` would honour `export-ignore`. Objects honour nothing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from controlplane.change import EMPTY_TREE
from controlplane.errors import UsageError

GIT_TIMEOUT_SECONDS = 120
SYMLINK, SUBMODULE, EXECUTABLE = "120000", "160000", "100755"


@dataclass(frozen=True)
class Entry:
    """One path of a tree; `mode` is git's octal text."""

    mode: str
    oid: str

    @property
    def is_file(self) -> bool:
        return self.mode not in (SYMLINK, SUBMODULE)


class Repository:
    """The objects of one local repository, bare or not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resolve(self, reference: str) -> str:
        """The full commit id of a reference; the empty tree's id stands for itself. Raises UsageError."""
        if reference == EMPTY_TREE:
            return EMPTY_TREE
        result = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
        if result.returncode != 0:
            self._refuse_if_no_repository()
            raise UsageError(
                f"There is no commit '{reference}' in {self.path}.",
                fix="Name a branch, a tag or a commit id that `git rev-parse` knows; a shallow clone may lack it.",
                code="unknown-commit",
            )
        return result.stdout.decode().strip()

    def tree(self, commit: str) -> dict[str, Entry]:
        """Every path of a commit. Paths that could lead out of a checkout are left out (git forbids them anyway)."""
        if commit == EMPTY_TREE:
            return {}
        result = self._git("ls-tree", "-r", "-z", "--full-tree", commit)
        if result.returncode != 0:
            raise UsageError(f"The tree of {commit} in {self.path} cannot be read.", fix="Run `git fsck` there.")
        return dict(_parse_tree(result.stdout))

    def read(self, oids: Iterable[str]) -> dict[str, bytes]:
        """The contents of blobs by object id, in one git process."""
        wanted = sorted(set(oids))
        if not wanted:
            return {}
        result = self._git("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in wanted).encode())
        return dict(_parse_batch(result.stdout))

    def _refuse_if_no_repository(self) -> None:
        if not self.path.exists() or self._git("rev-parse", "--git-dir").returncode != 0:
            raise UsageError(
                f"{self.path} is not a git repository.",
                fix="Give the folder of a clone, or of a bare repository, with --repo.",
                code="not-a-repository",
            )

    def _git(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        if not self.path.is_dir():
            raise UsageError(
                f"{self.path} is not a folder.", fix="Give the folder of a git repository.", code="not-a-repository"
            )
        return subprocess.run(
            ["git", *SAFE_SETTINGS, *arguments],
            cwd=self.path,
            env=git_environment(),
            input=stdin,
            capture_output=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )


# A repository's own config can name programs; none of these may run, and nothing may be fetched.
SAFE_SETTINGS = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "protocol.allow=never",
    "-c",
    "safe.directory=*",
)


def git_environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which we ask git: nobody's configuration, no prompt, no lazy fetch."""
    source = os.environ if inherited is None else inherited
    return {
        "PATH": source.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        # safe.directory is only honoured from outside the repository; this is the way that needs no file.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def is_safe_path(path: str) -> bool:
    """Whether a path from a tree stays inside the folder it is written to."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and not any(part in ("..", ".git", "") for part in parts)


def _parse_tree(listing: bytes) -> Iterable[tuple[str, Entry]]:
    for record in listing.split(b"\0"):
        if not record:
            continue
        meta, _, raw_path = record.partition(b"\t")
        mode, _kind, oid = meta.decode().split(" ")
        path = os.fsdecode(raw_path)
        if is_safe_path(path):
            yield path, Entry(mode, oid)


def _parse_batch(output: bytes) -> Iterable[tuple[str, bytes]]:
    position = 0
    while position < len(output):
        end = output.index(b"\n", position)
        words = output[position:end].decode().split(" ")
        position = end + 1
        if len(words) == 3:  # "<oid> <type> <size>"; a missing object has two words and no content
            size = int(words[2])
            yield words[0], output[position : position + size]
            position += size + 1
