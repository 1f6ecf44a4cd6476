"""conftest files: hooks that can rewrite what a test said, and code that is patched before it is tested."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from action.verify.integrity.difference import conftests
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding

# With these a conftest can say something else than what happened, or choose what is asked.
REWRITING_HOOKS = frozenset(
    {
        "pytest_runtest_makereport",
        "pytest_runtest_protocol",
        "pytest_runtest_call",
        "pytest_runtest_logreport",
        "pytest_report_teststatus",
        "pytest_pyfunc_call",
        "pytest_sessionfinish",
        "pytest_unconfigure",
        "pytest_ignore_collect",
        "pytest_collect_file",
        "pytest_pycollect_makeitem",
        "pytest_make_collect_report",
        "pytest_assertrepr_compare",
    }
)
IGNORING_NAMES = frozenset({"collect_ignore", "collect_ignore_glob"})
ENDING_CALLS = frozenset({"os._exit", "sys.exit", "os.kill", "os.abort", "pytest.exit"})


def find_conftest_changes(base: Snapshot, head: Snapshot, *, fresh: bool) -> Iterator[IntegrityFinding]:
    """Each conftest that the change adds, alters or removes."""
    packages = first_party(head)
    for path in sorted({*conftests(base), *conftests(head)}):
        if base.contents.get(path) == head.contents.get(path):
            continue
        if path not in head.contents:
            yield IntegrityFinding(
                kind="config-changed", fails=False, file=path, reason="it was removed; the base's tests ran with it"
            )
            continue
        new = powers(head.text(path), packages) - powers(base.text(path), packages)
        if new:
            yield IntegrityFinding(
                kind="config-relaxed", fails=not fresh, file=path, reason=f"conftest: {', '.join(sorted(new))}"
            )
        else:
            kind = "config-changed" if path in base.contents else "config-added"
            yield IntegrityFinding(
                kind=kind, fails=False, file=path, reason="the base's tests ran with the base's conftest"
            )


def powers(text: str, packages: frozenset[str]) -> frozenset[str]:
    """What a conftest does that can change a verdict, in words."""
    tree = parse(text)
    if tree is None:
        return frozenset()
    return frozenset(_powers(tree, packages))


def first_party(snapshot: Snapshot) -> frozenset[str]:
    """Names of the repository's own top-level modules and packages."""
    names = set()
    for path in snapshot.contents:
        parts = path.removeprefix("src/").split("/")
        if path.endswith(".py"):
            names.add(parts[0].removesuffix(".py"))
    return frozenset(names - {"tests", "test", "conftest", "setup"})


def _powers(tree: ast.Module, packages: frozenset[str]) -> Iterator[str]:
    imported = {alias for node in ast.walk(tree) for alias in _imported(node, packages)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in REWRITING_HOOKS:
            yield f"it has the hook {node.name}"
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            yield from _assigned(node, imported)
        elif isinstance(node, ast.Call):
            yield from _called(node, imported)


def _assigned(node: ast.Assign | ast.AugAssign | ast.AnnAssign, imported: set[str]) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name) and target.id in IGNORING_NAMES:
            yield f"it sets {target.id}"
        if isinstance(target, ast.Attribute) and _root(target) in imported:
            yield f"it replaces {ast.unparse(target)} of the code under test"


def _called(node: ast.Call, imported: set[str]) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name in ENDING_CALLS:
        yield f"it calls {name}"
    if name in ("setattr", "builtins.setattr") and node.args and _root(node.args[0]) in imported:
        yield f"it replaces a part of {ast.unparse(node.args[0])}, the code under test"


def _imported(node: ast.AST, packages: frozenset[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root in packages:
                yield alias.asname or root
    elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in packages:
        for alias in node.names:
            yield alias.asname or alias.name


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
