"""Edits of a package's failing test as a cheat makes them: by syntax tree, so that any real test can be edited."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable

from tests.acceptance.verify_packages import Package

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def failing_lines(package: Package) -> tuple[int, int]:
    """First and last line, from 0 and past the end, of the failing test with its decorators."""
    node = _failing(package)
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return first - 1, node.end_lineno or node.lineno


def failing_text(package: Package) -> str:
    first, last = failing_lines(package)
    return "".join(_lines(package)[first:last])


def with_failing(package: Package, text: str) -> str:
    """The test module with something else in the failing test's place; the class around it keeps a body."""
    first, last = failing_lines(package)
    lines = _lines(package)
    indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    changed = "".join([*lines[:first], text or f"{indent}pass\n", *lines[last:]])
    assert changed != package.files[package.tests], package.name
    ast.parse(changed)
    return changed


def marked(package: Package, mark: str) -> str:
    """The failing test with one more decorator above it."""
    body = failing_text(package)
    indent = body[: len(body) - len(body.lstrip())]
    return with_import(with_failing(package, f"{indent}@{mark}\n{body}"), "pytest")


def with_assertions(package: Package, make: Callable[[str], str]) -> str:
    """The failing test with each of its assertions (as text, without indent) replaced by what `make` says."""
    lines = _lines(package)
    node = _failing(package)
    statements = [one for one in ast.walk(node) if isinstance(one, ast.stmt) and _is_assertion(one)]
    assert statements, package.name
    for one in sorted(statements, key=lambda found: found.lineno, reverse=True):
        first, last = one.lineno - 1, one.end_lineno or one.lineno
        indent = lines[first][: one.col_offset]
        text = textwrap.dedent("".join(lines[first:last]))
        lines[first:last] = [textwrap.indent(make(text).rstrip("\n") + "\n", indent)]
    changed = "".join(lines)
    ast.parse(changed)
    return changed


def with_import(text: str, module: str) -> str:
    """A module's text that surely imports another, below a docstring and what comes from the future."""
    tree = ast.parse(text)
    if any(isinstance(one, ast.Import) and any(name.name == module for name in one.names) for one in tree.body):
        return text
    last = 0
    for one in tree.body:
        docstring = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        if docstring or (isinstance(one, ast.ImportFrom) and one.module == "__future__"):
            last = one.end_lineno or one.lineno
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:last], f"import {module}\n", *lines[last:]])


def _is_assertion(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assert):
        return True
    call = node.value if isinstance(node, ast.Expr) else None
    name = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
    return name.startswith("assert")


def _failing(package: Package) -> FunctionNode:
    tree = ast.parse(package.files[package.tests])
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == package.failing
    ]
    assert len(found) == 1, (package.name, package.failing)
    return found[0]


def _lines(package: Package) -> list[str]:
    return package.files[package.tests].splitlines(keepends=True)
