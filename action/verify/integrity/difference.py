"""What differs between two snapshots: paths, and lines."""

from __future__ import annotations

import difflib

from action.verify.checkout import Snapshot
from action.verify.layout import is_conftest

# Beyond this product of line counts a careful comparison could take minutes on hostile input.
MOST_COMPARISONS = 20_000_000
FRESH_NAMES = ("README", "LICENSE", "LICENCE", "COPYING", ".gitignore", ".gitattributes", ".editorconfig", "CODEOWNERS")
FRESH_FOLDERS = (".github/", ".aicd.yml", ".aicd.yaml")


def changed_paths(base: Snapshot, head: Snapshot) -> list[str]:
    """Paths added, removed, or altered in content or mode, sorted."""
    everything = base.entries.keys() | head.entries.keys()
    return sorted(path for path in everything if base.entries.get(path) != head.entries.get(path))


def is_fresh(base: Snapshot) -> bool:
    """Whether a base holds nothing yet that could be weakened: no file, or a README, a licence and workflows only."""
    return all(path.startswith(FRESH_NAMES + FRESH_FOLDERS) for path in base.entries)


def added_lines(before: str, after: str) -> frozenset[int]:
    """Numbers, from 1, of the lines of `after` that are new or altered."""
    old, new = before.splitlines(), after.splitlines()
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if len(old) * len(new) > MOST_COMPARISONS:
        known = set(old)
        return frozenset(start + number for number, line in enumerate(new, start=1) if line not in known)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return frozenset(
        start + number
        for tag, _, _, first, last in matcher.get_opcodes()
        if tag in ("replace", "insert")
        for number in range(first + 1, last + 1)
    )


def changed_lines(base: Snapshot, head: Snapshot) -> dict[str, frozenset[int]]:
    """New and altered lines of every text file of the head that the change touched."""
    found = {}
    for path in changed_paths(base, head):
        data = head.contents.get(path)
        if data is not None and b"\0" not in data and head.entries[path].is_file:
            lines = added_lines(base.text(path), head.text(path))
            if lines:
                found[path] = lines
    return found


def conftests(snapshot: Snapshot) -> list[str]:
    return sorted(path for path in snapshot.contents if is_conftest(path))
