"""Which path of a repository is what: a test, what supports tests, or source. And the settings that say so."""

from __future__ import annotations

import configparser
import fnmatch
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

TEST_FOLDERS = frozenset({"tests", "test", "testdata", "__snapshots__"})
DEFAULT_PYTHON_FILES = ("test_*.py", "*_test.py")
# pytest's own order of looking for its settings.
PYTEST_CONFIGS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
# Files beside the product's code that no suite is expected to cover, unless it does.
SCRIPTS = frozenset({"setup.py", "noxfile.py", "tasks.py", "fabfile.py"})
SIDE_FOLDERS = frozenset({"docs", "doc", "examples", "benchmarks", "bench"})


@dataclass(frozen=True)
class PytestConfig:
    """The file at the root that pytest would take its settings from, and those settings as text or TOML values."""

    file: str
    settings: Mapping[str, Any]

    @property
    def python_files(self) -> tuple[str, ...]:
        return _words(self.settings.get("python_files")) or DEFAULT_PYTHON_FILES


NO_PYTEST_CONFIG = PytestConfig("", {})


def read_pytest_config(root_files: Mapping[str, bytes]) -> PytestConfig:
    """Find pytest's settings among a tree's root files, as pytest itself would; unreadable files count as silent."""
    for name in PYTEST_CONFIGS:
        if name in root_files:
            settings = _settings_in(name, root_files[name])
            if settings is not None:
                return PytestConfig(name, settings)
    return NO_PYTEST_CONFIG


def is_test_path(path: str, python_files: tuple[str, ...] = DEFAULT_PYTHON_FILES) -> bool:
    """Whether a path belongs to the tests: their modules, their conftest, their data."""
    pure = PurePosixPath(path)
    return bool(TEST_FOLDERS.intersection(pure.parts[:-1])) or is_test_module(path, python_files) or is_conftest(path)


def is_test_module(path: str, python_files: tuple[str, ...] = DEFAULT_PYTHON_FILES) -> bool:
    """Whether pytest would collect this file."""
    name = PurePosixPath(path).name
    return name.endswith(".py") and any(
        fnmatch.fnmatch(path if "/" in pattern else name, pattern) for pattern in python_files
    )


def is_conftest(path: str) -> bool:
    return PurePosixPath(path).name == "conftest.py"


def is_source(path: str, python_files: tuple[str, ...] = DEFAULT_PYTHON_FILES) -> bool:
    """Whether a path is code of the product, in a language we measure."""
    return path.endswith(".py") and not is_test_path(path, python_files)


def is_side_script(path: str) -> bool:
    """Code beside the product: set-up scripts, documentation, examples."""
    parts = PurePosixPath(path).parts
    return (len(parts) == 1 and parts[0] in SCRIPTS) or parts[0] in SIDE_FOLDERS


def read_toml(data: bytes | None) -> dict[str, Any]:
    """A TOML document, or nothing when it is absent or broken."""
    try:
        return tomllib.loads((data or b"").decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return {}


def read_ini(data: bytes | None) -> configparser.ConfigParser:
    """An INI document without interpolation, or an empty one when it is absent or broken."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string((data or b"").decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error):
        return configparser.ConfigParser(interpolation=None)
    return parser


def table(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A table inside a TOML document, empty where it is not one."""
    current: Any = document
    for name in names:
        current = current.get(name) if isinstance(current, dict) else None
    return current if isinstance(current, dict) else {}


def _settings_in(name: str, data: bytes) -> Mapping[str, Any] | None:
    if name.endswith("pytest.toml"):
        return table(read_toml(data), "pytest")
    if name == "pyproject.toml":
        settings = table(read_toml(data), "tool", "pytest")
        return table(settings, "ini_options") or settings or None
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    parser = read_ini(data)
    if parser.has_section(section):
        return dict(parser[section])
    return {} if name in ("pytest.ini", ".pytest.ini") else None


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
