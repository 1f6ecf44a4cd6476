"""Modules of the change that stand in the way of others: the standard library's, or those that judge."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from action.verify.dependencies import read_dependencies
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
# Distributions whose module bears another name.
MODULES = {
    "attrs": "attr",
    "beautifulsoup4": "bs4",
    "pillow": "PIL",
    "python-dateutil": "dateutil",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}


def find_shadows(base: Snapshot, head: Snapshot) -> Iterator[IntegrityFinding]:
    """New top-level names that hide a module of the standard library or of a test tool."""
    before = _top_level(base)
    needed = read_dependencies(base.contents).distributions
    others = JUDGES | sys.stdlib_module_names | {MODULES.get(name, name.replace("-", "_")) for name in needed}
    for name, path in sorted(_top_level(head).items()):
        if name not in before and name in others and name != "test":
            yield IntegrityFinding(
                kind="module-shadowed", fails=True, file=path, reason=f"it stands in the place of the module `{name}`"
            )
    for name in sorted(_twice(head) - _twice(base)):
        yield IntegrityFinding(
            kind="module-shadowed",
            fails=True,
            file=f"src/{name}",
            reason=f"`{name}` is both at the root and in src/, and which of them is imported depends on who asks",
        )
    for path in sorted(head.contents.keys() - base.contents.keys()):
        if path.endswith("/entry_points.txt") and b"pytest11" in head.contents[path]:
            yield IntegrityFinding(
                kind="module-shadowed", fails=True, file=path, reason="it names plugins for pytest to load"
            )


def _twice(snapshot: Snapshot) -> set[str]:
    """Names that can be imported from the root and from src/."""
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for path in snapshot.contents:
        if path.endswith(".py"):
            inner = path.removeprefix("src/")
            names[inner != path].add(inner.partition("/")[0].removesuffix(".py"))
    return (names[True] & names[False]) - {"setup", "conftest", "tests", "test"}


def _top_level(snapshot: Snapshot) -> dict[str, str]:
    names: dict[str, str] = {}
    for path in snapshot.contents:
        parts = path.removeprefix("src/").split("/")
        if path.endswith(".py") and len(parts) <= 2:
            names.setdefault(parts[0].removesuffix(".py"), path)
    return names
