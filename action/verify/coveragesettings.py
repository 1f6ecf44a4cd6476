"""The base's coverage settings: what counts as source, what is left out, which lines are excused."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from action.verify.layout import read_ini, read_toml, table

PRAGMA = r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(cover|COVER)"
# coverage.py's own defaults, which hold where the project says nothing else.
DEFAULT_EXCLUDE = (
    PRAGMA,
    r"^\s*(((async )?def .*?)?\)(\s*->.*?)?:\s*)?\.\.\.\s*(#|$)",
    r"if (typing\.)?TYPE_CHECKING:",
)
CONFIG_FILES = (".coveragerc", "setup.cfg", "tox.ini", "pyproject.toml")


@dataclass(frozen=True)
class CoverageSettings:
    """Patterns as coverage.py takes them, relative to the repository's root."""

    source: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    concurrency: tuple[str, ...] = ()

    def is_source(self, path: str) -> bool:
        """Whether the settings ask for this file; without `source` and `include` they ask for every file."""
        if self.omit and _matches(path, self.omit):
            return False
        if self.source:
            return any(_is_within(path, entry) for entry in self.source)
        return not self.include or _matches(path, self.include)


def read_coverage_settings(contents: Mapping[str, bytes]) -> CoverageSettings:
    """Find coverage's settings in a tree, in the order coverage itself looks; broken files count as silent."""
    run, report = read_sections(contents)
    return _settings(run, report) if run or report else CoverageSettings()


def read_sections(contents: Mapping[str, bytes]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The `run` and `report` settings as they are written."""
    for name in CONFIG_FILES:
        if name in contents:
            run, report = _sections(name, contents[name])
            if run or report:
                return run, report
    return {}, {}


def _sections(name: str, data: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if name == "pyproject.toml":
        document = read_toml(data)
        return table(document, "tool", "coverage", "run"), table(document, "tool", "coverage", "report")
    parser = read_ini(data)
    prefix = "" if name == ".coveragerc" else "coverage:"
    found = [dict(parser[prefix + part]) if parser.has_section(prefix + part) else {} for part in ("run", "report")]
    return found[0], found[1]


def _settings(run: Mapping[str, Any], report: Mapping[str, Any]) -> CoverageSettings:
    exclude = _valid(_items(report.get("exclude_lines"))) or DEFAULT_EXCLUDE
    return CoverageSettings(
        source=_items(run.get("source")) + _items(run.get("source_pkgs")) + _items(run.get("source_dirs")),
        include=_items(run.get("include")) + _items(report.get("include")),
        omit=_items(run.get("omit")) + _items(report.get("omit")),
        exclude=exclude + _valid(_items(report.get("exclude_also"))),
        concurrency=_items(run.get("concurrency")),
    )


def _items(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(item.strip() for item in re.split(r"[\n,]", value) if item.strip())
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _valid(patterns: tuple[str, ...]) -> tuple[str, ...]:
    valid = []
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error:
            continue
        valid.append(pattern)
    return tuple(valid)


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(
        fnmatch.fnmatch(path, pattern.removeprefix("./")) or fnmatch.fnmatch("/" + path, pattern)
        for pattern in patterns
    )


def _is_within(path: str, entry: str) -> bool:
    """`entry` is a folder, or an importable name that may live under src/."""
    cleaned = entry.removeprefix("./").strip("/")
    if cleaned in ("", "."):
        return True
    folders = {cleaned, cleaned.replace(".", "/"), "src/" + cleaned.replace(".", "/")}
    return any(path.startswith(folder + "/") or path in (folder, folder + ".py") for folder in folders)
