"""Paths that steer who reviews and what runs elsewhere, and the ways around them: links and submodules."""

from __future__ import annotations

import os
from collections.abc import Iterator

from action.gitrepo.protected import is_protected
from action.verify.checkout import Snapshot, leads_out
from action.verify.integrity.difference import changed_paths
from action.verify.repository import SUBMODULE, SYMLINK
from controlplane.evidence import IntegrityFinding


def find_protected(base: Snapshot, head: Snapshot) -> Iterator[IntegrityFinding]:
    """Every touched path that is protected, a submodule, or a link out of the tree or to something protected."""
    for path in changed_paths(base, head):
        reason = _reason(path, base, head)
        if reason:
            yield IntegrityFinding(kind="protected-path", fails=True, file=path, reason=reason)


def _reason(path: str, base: Snapshot, head: Snapshot) -> str:
    if is_protected(path):
        verb = "was removed" if path not in head.entries else "was changed" if path in base.entries else "was added"
        return f"it {verb}; it steers who reviews or what runs, and is not for a change to touch"
    modes = {snapshot.entries[path].mode for snapshot in (base, head) if path in snapshot.entries}
    if SUBMODULE in modes:
        return "it is a submodule; its content is not in this repository and cannot be judged"
    if path in head.entries and head.entries[path].mode == SYMLINK:
        return _link_reason(path, os.fsdecode(head.contents.get(path, b"")))
    return ""


def _link_reason(path: str, target: str) -> str:
    if leads_out(path, target):
        return f"it is a link that leads out of the repository ({target[:80]})"
    resolved = os.path.normpath(os.path.join(os.path.dirname(path), target))  # noqa: PTH118, PTH120 - text, not files
    if is_protected(resolved) or is_protected(resolved + "/x"):
        return f"it is a link to a protected path ({target[:80]})"
    return ""
