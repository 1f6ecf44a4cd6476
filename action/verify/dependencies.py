"""What the target needs to run its tests: read from its dependency files, never by running its code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from action.verify.layout import read_ini, read_toml, table
from action.verify.lockfiles import read_constraints

TEST_GROUPS = ("test", "tests", "testing", "dev", "develop", "development", "lint", "typing", "types", "typecheck")
REQUIREMENTS = re.compile(
    r"^(requirements/)?((base|main|test|tests|testing|dev|develop|development|lint|ci)|"
    r"requirements([-_.](test|tests|testing|dev|develop|development|lint|ci))?|"
    r"(test|tests|dev|ci)[-_.]requirements)\.txt$"
)
LOCK_FILES = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile",
    "Pipfile.lock",
    "pylock.toml",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "yarn.lock",
)
NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
INCLUDE = re.compile(r"^(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)")
DEEPEST_INCLUDE = 5


@dataclass(frozen=True)
class Dependencies:
    """Requirement lines as pip takes them, `hashed` apart from `plain` since pip mixes no two.

    `constraints` are a lock file's pins. `files` are those they were read from. `distributions` are the normalised
    names: only their pytest plugins are loaded. `notes` tell what was left out and why.
    """

    plain: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def distributions(self) -> tuple[str, ...]:
        names = {normalise(match[1]) for line in self.plain + self.hashed if (match := NAME.match(line))}
        return tuple(sorted(names))

    def __bool__(self) -> bool:
        return bool(self.plain or self.hashed)


def is_dependency_file(path: str) -> bool:
    """Whether a path decides what gets installed. pyproject.toml and setup.cfg do so only in part."""
    name = PurePosixPath(path).name
    return bool(REQUIREMENTS.match(path)) or path in LOCK_FILES or name in ("setup.py", "constraints.txt")


def read_dependencies(contents: Mapping[str, bytes]) -> Dependencies:
    """Read a tree's requirements files, pyproject.toml (PEP 621, 735, Poetry) and setup.cfg."""
    reader = _Reader(contents)
    for path in sorted(contents):
        if REQUIREMENTS.match(path):
            reader.read_requirements(path)
    project = declared_in_pyproject(read_toml(contents.get("pyproject.toml")))
    if project:
        reader.add("pyproject.toml", project)
    legacy = declared_in_setup_cfg(contents.get("setup.cfg"))
    if legacy:
        reader.add("setup.cfg", legacy)
    return reader.result()


def declared_in_pyproject(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Requirements of the project, of its test extras and of its test groups; its own name is resolved, not kept."""
    project = table(document, "project")
    extras = table(project, "optional-dependencies")
    groups = table(document, "dependency-groups")
    own = normalise(str(project.get("name", "")))
    lines = _texts(project.get("dependencies"))
    # Some projects have one extra for everything instead of one for tests.
    for name in _named(extras, TEST_GROUPS) or _named(extras, ("all",)):
        lines += _expand(_texts(extras[name]), own, extras)
    for name in _named(groups, TEST_GROUPS):
        lines += _expand(_group(name, groups, 0), own, extras)
    return (*dict.fromkeys(lines), *_poetry(table(document, "tool", "poetry")))


def declared_in_setup_cfg(data: bytes | None) -> tuple[str, ...]:
    parser = read_ini(data)
    lines: list[str] = []
    if parser.has_section("options"):
        for key in ("install_requires", "tests_require"):
            lines += parser.get("options", key, fallback="").splitlines()
    if parser.has_section("options.extras_require"):
        for name, value in parser["options.extras_require"].items():
            if name in TEST_GROUPS:
                lines += value.splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def normalise(name: str) -> str:
    """A distribution's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class _Reader:
    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents = contents
        self.plain: dict[str, None] = {}
        self.hashed: dict[str, None] = {}
        self.files: dict[str, None] = {}
        self.notes: list[str] = []

    def result(self) -> Dependencies:
        lock, constraints = read_constraints(self.contents)
        if lock and self.plain:
            self.notes.append(f"{len(constraints)} versions are pinned by {lock}")
        pins = constraints if self.plain else ()
        return Dependencies(tuple(self.plain), tuple(self.hashed), pins, tuple(self.files), tuple(self.notes))

    def add(self, path: str, lines: Iterable[str]) -> None:
        self.files[path] = None
        for line in lines:
            (self.hashed if "--hash" in line else self.plain)[line] = None

    def read_requirements(self, path: str, depth: int = 0) -> None:
        if path in self.files or path not in self.contents or depth > DEEPEST_INCLUDE:
            return
        self.files[path] = None
        for line in _logical_lines(self.contents[path].decode("utf-8", errors="replace")):
            included = INCLUDE.match(line)
            if included:
                self.read_requirements(str(PurePosixPath(path).parent / included[1]), depth + 1)
            elif NAME.match(line) and not _is_local(line):
                self.add(path, [line])
            elif not _is_own_project(line):
                self.notes.append(f"{path}: '{line[:80]}' is not a requirement by name, and was left out")


def _logical_lines(text: str) -> Iterable[str]:
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        cleaned = re.sub(r"(^|\s)#.*$", "", line).strip()
        if cleaned:
            yield cleaned


def _is_own_project(line: str) -> bool:
    return bool(re.match(r"^(-e|--editable)?\s*\.(\[[^]]*\])?$", line))


def _is_local(line: str) -> bool:
    return line.startswith((".", "/", "file:")) or "file://" in line or bool(re.match(r"^[\w.-]+/", line))


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _named(tables: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [name for name in tables if normalise(name) in names]


def _group(name: str, groups: Mapping[str, Any], depth: int) -> list[str]:
    """A dependency group with the groups it includes (PEP 735)."""
    items = groups.get(name)
    lines = _texts(items)
    if isinstance(items, list) and depth <= DEEPEST_INCLUDE:
        for item in items:
            if isinstance(item, dict) and isinstance(item.get("include-group"), str):
                lines += _group(item["include-group"], groups, depth + 1)
    return lines


def _expand(lines: list[str], own: str, extras: Mapping[str, Any], depth: int = 0) -> list[str]:
    """Replace `ownproject[extra]` by what that extra holds: the project itself is never installed."""
    expanded: list[str] = []
    for line in lines:
        match = NAME.match(line)
        if not match or normalise(match[1]) != own:
            expanded.append(line)
        elif depth <= DEEPEST_INCLUDE:
            for extra in re.findall(r"[\w.-]+", line.partition("[")[2].partition("]")[0]):
                expanded += _expand(_texts(extras.get(extra)), own, extras, depth + 1)
    return expanded


def _poetry(poetry: Mapping[str, Any]) -> tuple[str, ...]:
    tables = [table(poetry, "dependencies"), table(poetry, "dev-dependencies")]
    tables += [table(poetry, "group", name, "dependencies") for name in table(poetry, "group") if name in TEST_GROUPS]
    lines = []
    for declared in tables:
        for name, wanted in declared.items():
            if normalise(name) != "python":
                lines.append(name + _poetry_version(wanted))
    return tuple(lines)


def _poetry_version(wanted: Any) -> str:
    """Poetry's caret and tilde in words that pip understands."""
    version = wanted.get("version", "*") if isinstance(wanted, dict) else wanted
    if not isinstance(version, str) or version == "*":
        return ""
    match = re.match(r"^([\^~])(\d+)((?:\.\d+)*)$", version.strip())
    if not match:
        return version if version[0] in "<>=!~" else f"=={version}"
    numbers = [int(number) for number in (match[2] + match[3]).split(".")]
    keep = 1 if match[1] == "~" else next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
    keep = min(keep, len(numbers) - 1)
    ceiling = [*numbers[:keep], numbers[keep] + 1]
    return f">={'.'.join(map(str, numbers))},<{'.'.join(map(str, ceiling))}"
