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
# What chooses the tests and prepares them, in the file or in package.json.
RUNNER_FILE = re.compile(
    r"(^|/)((jest|vitest|karma|ava|cypress|playwright)\.(config|setup)\.[cm]?[jt]s(on)?|\.mocharc\.\w+|jest\.setup\.\w+)$"
)
RUNNER_KEYS = ("jest", "mocha", "ava", "vitest")
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
    """The head's product with the base's tests, runner's settings and scripts; the head itself if nothing differs."""
    judges = {path for path in base.entries if is_node_test(path) or RUNNER_FILE.search(path)}
    taken = {path for path in judges if base.entries[path] != head.entries.get(path)}
    # A runner's settings that only the head has would take over from those in package.json.
    tested = any(is_node_test(path) for path in base.entries)
    added = head.entries.keys() - base.entries.keys() if tested else ()
    dropped = {path for path in added if RUNNER_FILE.search(path)}
    document = _with_runner_of(_document(base), _document(head))
    if not taken and document is None and not dropped:
        return head
    entries = {path: entry for path, entry in head.entries.items() if path not in dropped}
    contents = {path: data for path, data in head.contents.items() if path not in dropped}
    entries |= {path: base.entries[path] for path in taken}
    contents |= {path: base.contents[path] for path in taken if path in base.contents}
    if document is not None:
        contents["package.json"] = json.dumps(document, indent=2).encode()
    return replace(head, entries=entries, contents=contents)


def _with_runner_of(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """The head's package.json with the base's scripts and runner's settings; None where they are the same."""
    if after is None or not scripts_of(before or {}):
        return None
    assert before is not None
    kept = {key: value for key, value in after.items() if key not in RUNNER_KEYS}
    kept |= {key: before[key] for key in RUNNER_KEYS if key in before}
    kept["scripts"] = scripts_of(before)
    return None if kept == {**after, "scripts": scripts_of(after)} else kept


def _document(snapshot: Snapshot) -> dict[str, Any] | None:
    try:
        document = json.loads(snapshot.contents.get("package.json", b""))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
