"""What gets installed: requirements, lock files, and the parts of project files that name dependencies."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from action.verify.checkout import Snapshot
from action.verify.dependencies import declared_in_setup_cfg, is_dependency_file
from action.verify.integrity.difference import changed_paths
from action.verify.layout import read_toml, table
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding

SETUP_ARGUMENTS = ("install_requires", "extras_require", "tests_require", "setup_requires", "dependency_links")


def find_dependency_changes(
    base: Snapshot, head: Snapshot, *, allowed: bool, fresh: bool
) -> Iterator[IntegrityFinding]:
    """Each file that changes what is installed. It fails unless the maintainers allow it, or nothing was there yet."""
    for path in changed_paths(base, head):
        if not _changes_dependencies(path, base, head):
            continue
        reason = "it changes what gets installed"
        if allowed:
            reason += "; the maintainers' policy allows that"
        elif not fresh:
            reason += "; a maintainer allows it with `dependencies: allow` in the base's .aicd.yml"
        yield IntegrityFinding(kind="dependency-changed", fails=not (allowed or fresh), file=path, reason=reason)


def _changes_dependencies(path: str, base: Snapshot, head: Snapshot) -> bool:
    before, after = base.contents.get(path), head.contents.get(path)
    name = path.rpartition("/")[2]
    if name == "pyproject.toml":
        return _of_pyproject(before) != _of_pyproject(after)
    if name == "setup.cfg":
        return declared_in_setup_cfg(before) != declared_in_setup_cfg(after)
    if name == "setup.py":
        return _of_setup_py(before) != _of_setup_py(after)
    return is_dependency_file(path)


def _of_pyproject(data: bytes | None) -> list[Any]:
    document = read_toml(data)
    project, tool = table(document, "project"), table(document, "tool")
    poetry = table(tool, "poetry")
    return (
        [
            project.get("dependencies") or [],
            project.get("optional-dependencies") or {},
            document.get("dependency-groups") or {},
            {key: poetry[key] for key in ("dependencies", "dev-dependencies", "group", "source") if key in poetry},
            {key: value for key, value in table(tool, "uv").items() if "source" in key or "index" in key},
            # What builds the project is installed too; a first build-system names no more than the usual builder.
            table(document, "build-system").get("requires") if data and b"build-system" in data else None,
        ]
        if data is not None
        else [[], {}, {}, {}, {}, None]
    )


def _of_setup_py(data: bytes | None) -> list[str]:
    tree = parse((data or b"").decode("utf-8", errors="replace"))
    if tree is None:
        return ["unreadable"]
    return sorted(
        f"{keyword.arg}={ast.dump(keyword.value)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in SETUP_ARGUMENTS
    )
