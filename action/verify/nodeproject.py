"""A Node project as its package.json tells it: manager, scripts, tests. Nothing of it is run to find out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from action.verify.checkout import Snapshot

Manager = Literal["npm", "pnpm", "yarn"]
LOCKS: dict[str, Manager] = {"package-lock.json": "npm", "pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
KEPT = ("name", "version", "overrides", "resolutions", "pnpm", *DEPENDENCIES)
TEST_FILE = re.compile(r"\.(test|spec)\.[cm]?[jt]sx?$")
TEST_FOLDERS = frozenset({"__tests__", "test", "tests", "__snapshots__"})
PLACEHOLDER = "no test specified"


@dataclass(frozen=True)
class NodeProject:
    """`document` is package.json. `lock` is the lock file's name, empty where there is none."""

    document: Mapping[str, Any]
    lock: str
    lock_data: bytes

    @property
    def manager(self) -> Manager:
        return LOCKS.get(self.lock, "npm")

    @cached_property
    def dependencies(self) -> frozenset[str]:
        found = (self.document.get(key) for key in DEPENDENCIES)
        return frozenset(name for table in found if isinstance(table, dict) for name in table)

    @property
    def test_script(self) -> str:
        """What `npm test` runs; empty where it is npm's own placeholder."""
        script = scripts_of(self.document).get("test", "")
        return "" if PLACEHOLDER in script else script

    def manifest(self) -> bytes:
        """What its dependencies follow from: without scripts, which must not run while it is installed."""
        kept = {key: self.document[key] for key in KEPT if key in self.document}
        return json.dumps(kept, indent=1, sort_keys=True).encode()


def read_node_project(snapshot: Snapshot) -> NodeProject | None:
    """The project at the root, or None where there is none that can be read."""
    document = _document(snapshot)
    if document is None:
        return None
    lock = next((name for name in LOCKS if name in snapshot.contents), "")
    return NodeProject(document, lock, snapshot.contents.get(lock, b""))


def scripts_of(document: Mapping[str, Any]) -> dict[str, str]:
    scripts = document.get("scripts")
    found = scripts if isinstance(scripts, dict) else {}
    return {name: text for name, text in found.items() if isinstance(text, str)}


def is_node_test(path: str) -> bool:
    return bool(TEST_FILE.search(path)) or not TEST_FOLDERS.isdisjoint(PurePosixPath(path).parts[:-1])


def with_tests_of(base: Snapshot, head: Snapshot) -> Snapshot:
    """The head's product with the base's tests and scripts; the head itself where they do not differ."""
    taken = {path for path in base.entries if is_node_test(path) and base.entries[path] != head.entries.get(path)}
    before, after = _document(base), _document(head)
    scripts = scripts_of(before or {})
    same = after is None or not scripts or scripts == scripts_of(after)
    if not taken and same:
        return head
    entries = {**head.entries, **{path: base.entries[path] for path in taken}}
    contents = {**head.contents, **{path: base.contents[path] for path in taken if path in base.contents}}
    if not same and after is not None:
        contents["package.json"] = json.dumps({**after, "scripts": scripts}, indent=2).encode()
    return replace(head, entries=entries, contents=contents)


def _document(snapshot: Snapshot) -> dict[str, Any] | None:
    try:
        document = json.loads(snapshot.contents.get("package.json", b""))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
