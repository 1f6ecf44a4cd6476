"""Versions that a lock file pins: uv, Poetry, PDM, Pipenv, PEP 751. Read as data, handed to pip as constraints.

A name that is locked to several versions (for several platforms) is left to pip's own choice, and so is what comes from
elsewhere than an index.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from action.verify.layout import read_toml

TOML_LOCKS = {"uv.lock": "package", "poetry.lock": "package", "pdm.lock": "package", "pylock.toml": "packages"}
VERSION = re.compile(r"^[A-Za-z0-9.!+_-]{1,60}$")
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$")
# Where a package comes from when it comes from an index, in the words of each format; nothing is an index too.
INDEXES = ("registry", "legacy", "index")


def read_constraints(contents: Mapping[str, bytes]) -> tuple[str, tuple[str, ...]]:
    """The lock file at the root, and its pins as `name==version`; empty where there is none that can be read."""
    for name, table in TOML_LOCKS.items():
        pins = _agreed(_of_toml(read_toml(contents[name]).get(table))) if name in contents else ()
        if pins:
            return name, pins
    pins = _agreed(_of_pipfile(contents["Pipfile.lock"])) if "Pipfile.lock" in contents else ()
    return ("Pipfile.lock", pins) if pins else ("", ())


def _of_toml(packages: Any) -> Iterator[tuple[str, str]]:
    for package in packages if isinstance(packages, list) else ():
        if isinstance(package, dict) and _is_from_index(package):
            yield str(package.get("name", "")), str(package.get("version", ""))


def _is_from_index(package: Mapping[str, Any]) -> bool:
    if any(key in package for key in ("vcs", "directory", "archive", "path", "git", "url")):
        return False
    source = package.get("source")
    if not isinstance(source, dict):
        return True
    return any(key in source for key in ("registry",)) or source.get("type") in INDEXES


def _of_pipfile(data: bytes) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    for section in ("default", "develop"):
        packages = document.get(section) if isinstance(document, dict) else None
        for name, package in packages.items() if isinstance(packages, dict) else ():
            version = package.get("version") if isinstance(package, dict) else None
            if isinstance(version, str):
                yield str(name), version.removeprefix("==")


def _agreed(pins: Iterator[tuple[str, str]]) -> tuple[str, ...]:
    versions: dict[str, set[str]] = defaultdict(set)
    for name, version in pins:
        if NAME.match(name) and VERSION.match(version):
            versions[name].add(version)
    return tuple(f"{name}=={one}" for name, found in sorted(versions.items()) if len(found) == 1 for one in found)
