"""The head as lint and types judge it: with the base's settings where the change relaxed them."""

from __future__ import annotations

from action.verify.checkout import Snapshot
from action.verify.integrity.configuration import find_relaxed_settings
from action.verify.integrity.difference import is_fresh


def with_strict_settings(base: Snapshot, head: Snapshot) -> Snapshot:
    """Replace each settings file that relaxes something by the base's; the finding about it is told apart."""
    relaxed = {
        finding.file
        for finding in find_relaxed_settings(base, head, fresh=is_fresh(base))
        if finding.fails and finding.kind == "config-relaxed" and finding.reason.startswith(("ruff:", "mypy:"))
    }
    if not relaxed:
        return head
    entries = {path: entry for path, entry in head.entries.items() if path not in relaxed}
    contents = {path: data for path, data in head.contents.items() if path not in relaxed}
    for path in relaxed & base.contents.keys():
        entries[path], contents[path] = base.entries[path], base.contents[path]
    return Snapshot(head.commit, entries, contents)
