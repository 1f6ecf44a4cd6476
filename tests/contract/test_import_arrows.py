"""The arrows between the rooms, read from the imports: action → controlplane ← functions, and nobody imports local."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("controlplane", "action", "functions", "local")
MAY_IMPORT = {
    "controlplane": {"controlplane"},
    "action": {"action", "controlplane"},
    "functions": {"functions", "controlplane"},
    "local": set(ROOMS),
}


def sources(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).rglob("*.py"))


def imported_modules(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute names of all that a file imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield ".".join([*package.split(".")[: -node.level or None], node.module or ""]).rstrip(".")
            elif node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_arrows(room: str, path: Path, source: str) -> list[str]:
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    wrong = []
    for module in imported_modules(ast.parse(source), package):
        target = module.split(".")[0]
        if target in ROOMS and target not in MAY_IMPORT[room]:
            wrong.append(f"{path.relative_to(ROOT)} imports {module}")
        own, *other = path.relative_to(ROOT).parts[1:2], *module.split(".")[1:2]
        if room == target == "functions" and other and other[0] not in ("_shared", own[0] if own else ""):
            wrong.append(f"{path.relative_to(ROOT)} imports the function folder {other[0]}")
    return wrong


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_what_the_drawing_allows(room: str) -> None:
    paths = sources(room)
    assert paths, f"{room} holds no code: is this test looking in the right place?"
    assert [line for path in paths for line in wrong_arrows(room, path, path.read_text())] == []


@pytest.mark.parametrize(
    ("room", "file", "source"),
    [
        ("controlplane", "spec.py", "import action.gate"),
        ("action", "gate.py", "def f():\n    from local.stack import x"),
        ("action", "gate.py", "from functions._shared import x"),
        ("functions", "notify/main.py", "from functions.dispatch import main"),
        ("functions", "notify/main.py", "from functions import dispatch"),
        ("functions", "notify/main.py", "from ..dispatch import main"),
    ],
)
def test_wrong_arrow_is_noticed(room: str, file: str, source: str) -> None:
    assert wrong_arrows(room, ROOT / room / file, source)


def test_supabase_and_sql_are_no_packages() -> None:
    """A package there would hide the official client, whose name is `supabase`."""
    assert not list((ROOT / "supabase").rglob("__init__.py")) + list((ROOT / "sql").rglob("__init__.py"))
