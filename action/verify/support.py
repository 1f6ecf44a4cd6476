"""What the base's tests rest on beside their own folders: data that they name, and texts that are run as tests."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath

from action.verify.checkout import Snapshot
from action.verify.integrity.doctests import doctest_options, matches_texts
from action.verify.layout import is_test_module
from action.verify.testcode import parse

DATA_FOLDERS = frozenset({"fixtures", "__fixtures__", "golden", "goldens", "snapshots", "test_data", "test-data"})
# Names that a test may say without resting on the file's content.
NEVER_DATA = frozenset({"pyproject.toml", "setup.cfg", "package.json", "tox.ini", ".coveragerc"})
LARGEST_NAMED = 300


def support_paths(base: Snapshot) -> frozenset[str]:
    """Files of the base, no Python, that only its tests read. The base's run has the base's version of them."""
    asked, globs = doctest_options(base.pytest_config.settings)
    texts = {path for path in base.contents if (asked or "test*.txt" not in globs) and matches_texts(path, globs)}
    data = {path for path in base.contents if _is_data(path)}
    folders = {path for path in data if not DATA_FOLDERS.isdisjoint(PurePosixPath(path).parts[:-1])}
    return frozenset(texts | folders | _named(base, data - folders))


def _is_data(path: str) -> bool:
    return not path.endswith((".py", ".pyi")) and PurePosixPath(path).name not in NEVER_DATA


def _named(base: Snapshot, data: set[str]) -> set[str]:
    """Data whose file name a test says and no other code does."""
    names = {PurePosixPath(path).name: path for path in data}
    patterns = base.pytest_config.python_files
    said: set[str] = set()
    for path in base.contents:
        if is_test_module(path, patterns) and len(said) <= LARGEST_NAMED:
            said |= _texts_in(base.text(path))
    candidates = {names[name] for text in said if (name := PurePosixPath(text).name) in names}
    others = [base.text(path) for path in base.contents if path.endswith(".py") and path not in base.test_paths]
    return {path for path in candidates if not any(PurePosixPath(path).name in text for text in others)}


def _texts_in(text: str) -> set[str]:
    """Literals that may be a file's name."""
    tree = parse(text)
    return {
        node.value
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 3 <= len(node.value) <= 200
        if "." in node.value and "\n" not in node.value
    }
