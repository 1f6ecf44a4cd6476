"""Checkouts written from objects: the head, the base, and the head with the base's tests laid over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from action.verify.layout import PytestConfig, is_test_path, read_pytest_config
from action.verify.repository import EXECUTABLE, SUBMODULE, SYMLINK, Entry, Repository


@dataclass(frozen=True)
class Snapshot:
    """One commit's tree with every content in memory.

    Reading it once is what lets the judge look at exactly the bytes that ran, whatever the tests do to their checkout.
    """

    commit: str
    entries: Mapping[str, Entry]
    contents: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def load(cls, repository: Repository, commit: str) -> Snapshot:
        entries = repository.tree(commit)
        blobs = repository.read(entry.oid for entry in entries.values() if entry.mode != SUBMODULE)
        contents = {path: blobs[entry.oid] for path, entry in entries.items() if entry.oid in blobs}
        return cls(commit, entries, contents)

    @cached_property
    def pytest_config(self) -> PytestConfig:
        return read_pytest_config({path: data for path, data in self.contents.items() if "/" not in path})

    @cached_property
    def test_paths(self) -> frozenset[str]:
        return frozenset(path for path in self.contents if is_test_path(path, self.pytest_config.python_files))

    def text(self, path: str) -> str:
        """A file's text; empty when it is absent, lossy when it is not UTF-8."""
        return self.contents.get(path, b"").decode("utf-8", errors="replace")


def lay_over(
    base: Snapshot, head: Snapshot, keep_head: frozenset[str] = frozenset(), support: frozenset[str] = frozenset()
) -> Snapshot:
    """The head's product with the base's tests: their modules, conftest, data. `keep_head` names exceptions.

    `support` are further files of the base that its tests rest on.

    A test file that only the head has is left out: it is run apart, with the change's own settings.
    """
    patterns = base.pytest_config.python_files + head.pytest_config.python_files
    taken = {
        path for path in base.entries if (is_test_path(path, patterns) or path in support) and path not in keep_head
    }
    folders = {str(parent) for path in taken for parent in PurePosixPath(path).parents}
    dropped = {
        path
        for path in head.entries
        if path not in keep_head
        # The last two: where the change put a file or a link in the place of one of the base's test folders.
        and (is_test_path(path, patterns) or path in folders or _is_below(path, taken))
    }
    entries = {path: entry for path, entry in head.entries.items() if path not in dropped}
    contents = {path: data for path, data in head.contents.items() if path not in dropped}
    entries.update({path: base.entries[path] for path in taken})
    contents.update({path: base.contents[path] for path in taken if path in base.contents})
    return Snapshot(head.commit, entries, contents)


def write_checkout(snapshot: Snapshot, folder: Path, owner: int | None = None) -> None:
    """Write a snapshot into a new folder, owned by user id `owner` when one is given.

    Compiled modules are left out. A symlink that leads out of the folder is written as a plain file that holds its
    target, as git does where there are no symlinks; a submodule is an empty folder.
    """
    made = {folder}
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    for path, entry in snapshot.entries.items():
        if "__pycache__/" in f"/{path}" or path.endswith((".pyc", ".pyo")):
            continue  # Python would run it in the place of the source that is judged
        target = folder / path
        _make_parents(target.parent, made)
        _write(target, entry, snapshot.contents.get(path, b""), path)
        if owner is not None:
            os.chown(target, owner, owner, follow_symlinks=False)
    if owner is not None:
        for directory in made:
            os.chown(directory, owner, owner)


def leads_out(path: str, target: str) -> bool:
    """Whether a symlink at `path` of a tree with this target points outside the tree, or into `.git`."""
    if target.startswith("/") or not target:
        return True
    depth = len(PurePosixPath(path).parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or part == ".git":
            return True
    return False


def _is_below(path: str, files: set[str]) -> bool:
    return any(str(parent) in files for parent in PurePosixPath(path).parents)


def _write(target: Path, entry: Entry, data: bytes, path: str) -> None:
    if entry.mode == SUBMODULE:
        target.mkdir(exist_ok=True)
    elif entry.mode == SYMLINK and not leads_out(path, os.fsdecode(data)):
        target.symlink_to(os.fsdecode(data))
    else:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        target.chmod(0o755 if entry.mode == EXECUTABLE else 0o644)


def _make_parents(directory: Path, made: set[Path]) -> None:
    if directory in made:
        return
    _make_parents(directory.parent, made)
    directory.mkdir()
    directory.chmod(0o755)  # whatever the umask: the sandbox's user must come through
    made.add(directory)
