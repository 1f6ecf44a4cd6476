"""Modules of the change that stand in the way of others: the standard library's, or those that judge."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from controlplane.evidence import IntegrityFinding

JUDGES = frozenset(
    {
        "pytest",
        "_pytest",
        "pluggy",
        "coverage",
        "unittest",
        "hypothesis",
        "mypy",
        "ruff",
        "sitecustomize",
        "usercustomize",
        "pytest_cov",
        "pytest_mock",
        "iniconfig",
    }
)


def find_shadows(base: Snapshot, head: Snapshot) -> Iterator[IntegrityFinding]:
    """New top-level names that hide a module of the standard library or of a test tool."""
    before = _top_level(base)
    for name, path in sorted(_top_level(head).items()):
        if name not in before and (name in JUDGES or name in sys.stdlib_module_names) and name != "test":
            yield IntegrityFinding(
                kind="module-shadowed", fails=True, file=path, reason=f"it stands in the place of the module `{name}`"
            )
    for path in sorted(head.contents.keys() - base.contents.keys()):
        if path.endswith("/entry_points.txt") and b"pytest11" in head.contents[path]:
            yield IntegrityFinding(
                kind="module-shadowed", fails=True, file=path, reason="it names plugins for pytest to load"
            )


def _top_level(snapshot: Snapshot) -> dict[str, str]:
    names: dict[str, str] = {}
    for path in snapshot.contents:
        parts = path.removeprefix("src/").split("/")
        if path.endswith(".py") and len(parts) <= 2:
            names.setdefault(parts[0].removesuffix(".py"), path)
    return names
