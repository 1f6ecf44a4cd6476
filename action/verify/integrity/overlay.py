"""The head as its checkers judge it: the base's settings where the change relaxed them, no new silencer, no new rule
nearer to the code, and the base's scripts where a command runs one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath

from action.verify.checkout import Snapshot
from action.verify.integrity.configuration import find_relaxed_settings
from action.verify.integrity.difference import is_fresh
from action.verify.integrity.silencers import without_silencers
from action.verify.layout import read_toml, table

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")


def as_checked(base: Snapshot, head: Snapshot, allowed: frozenset[str] = frozenset()) -> Snapshot:
    """What lint and types look at. In files of `allowed` the maintainers let a change silence its checkers."""
    if is_fresh(base):
        return head
    relaxed = {
        finding.file
        for finding in find_relaxed_settings(base, head, fresh=False)
        if finding.fails and finding.kind == "config-relaxed" and finding.reason.startswith(("ruff:", "mypy:"))
    }
    return without_silencers(base, _with_base_files(base, head, relaxed | set(nearer_settings(base, head))), allowed)


def nearer_settings(base: Snapshot, head: Snapshot) -> Iterable[str]:
    """ruff's settings in folders, new or altered: they go before those at the root. And what git ignores, ruff does."""
    for path in sorted({*base.contents, *head.contents}):
        name = PurePosixPath(path).name
        if base.contents.get(path) == head.contents.get(path):
            continue
        nested = "/" in path and (
            name in ("ruff.toml", ".ruff.toml") or (name == "pyproject.toml" and _has_ruff(head, path))
        )
        if nested or name in (".gitignore", ".ignore"):
            yield path


def with_base_scripts(base: Snapshot, head: Snapshot, command: str) -> tuple[Snapshot, tuple[str, ...]]:
    """The head with the base's version of each file that a command runs, and which of them the change had altered."""
    words = _words(command)
    named = {word.removeprefix("./") for word in words}
    paths = {path for path in named & base.contents.keys() if _runs(path)}
    if "make" in words or "gmake" in words:
        targets = [word for word in words[words.index("make" if "make" in words else "gmake") + 1 :] if "=" not in word]
        present = [name for name in MAKEFILES if name in base.contents]
        if present and all(_has_target(base.text(present[0]), target) for target in targets if target[:1] != "-"):
            paths |= set(MAKEFILES)
    changed = tuple(sorted(path for path in paths if base.contents.get(path) != head.contents.get(path)))
    return (_with_base_files(base, head, set(changed)) if changed else head), changed


def _runs(path: str) -> bool:
    """A script, or what it is: data that a command names is the product's own."""
    name = PurePosixPath(path).name
    return name.endswith((".sh", ".bash", ".py", ".mk", ".js", ".mjs", ".cjs", ".ts", ".pl", ".rb")) or "." not in name


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()


def _has_target(makefile: str, target: str) -> bool:
    return bool(re.search(rf"^{re.escape(target)}\s*:", makefile, re.MULTILINE))


def _has_ruff(head: Snapshot, path: str) -> bool:
    return bool(table(read_toml(head.contents.get(path)), "tool", "ruff"))


def _with_base_files(base: Snapshot, head: Snapshot, paths: set[str]) -> Snapshot:
    if not paths:
        return head
    entries = {path: entry for path, entry in head.entries.items() if path not in paths}
    contents = {path: data for path, data in head.contents.items() if path not in paths}
    for path in paths & base.contents.keys():
        entries[path], contents[path] = base.entries[path], base.contents[path]
    return Snapshot(head.commit, entries, contents)
