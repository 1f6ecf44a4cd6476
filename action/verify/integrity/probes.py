"""Test modules with a probe after every equality: does the value also equal what it should not?

A value that equals everything passes every `assert f(x) == y`. So the base's tests run once more, with each compared
pair kept and handed to `inside/probe.py`, which compares the value with neighbours of the expectation as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from action.verify.checkout import Snapshot
from action.verify.layout import is_test_module
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding

PROBE = "_aicd_probe"


@dataclass(frozen=True)
class Probed:
    """Node ids of the base's tests: those in which equality shows nothing, and those that pass only undisguised."""

    subverted: frozenset[str] = frozenset()
    seen_through: frozenset[str] = frozenset()


EQUALITIES = frozenset({"assertEqual", "assertEquals", "assertListEqual", "assertDictEqual", "assertCountEqual"})


def with_probes(snapshot: Snapshot) -> Snapshot | None:
    """The snapshot with probes in its test modules; None when no test compares anything."""
    patterns = snapshot.pytest_config.python_files
    contents = dict(snapshot.contents)
    for path in snapshot.contents:
        probed = _probe_module(snapshot.text(path)) if is_test_module(path, patterns) else None
        if probed is not None:
            contents[path] = probed.encode("utf-8", errors="surrogatepass")
    if contents == snapshot.contents:
        return None
    return Snapshot(snapshot.commit, snapshot.entries, contents)


def find_subverted_equality(probed: frozenset[str]) -> Iterator[IntegrityFinding]:
    """Tests in which a compared value equals what it must not equal."""
    by_file: dict[str, list[str]] = {}
    for node_id in sorted(probed):
        by_file.setdefault(node_id.partition("::")[0], []).append(node_id)
    for file, node_ids in by_file.items():
        yield IntegrityFinding(
            kind="equality-subverted",
            fails=True,
            file=file,
            node_ids=tuple(node_ids),
            reason="a value under test equals things that it must not equal, so that comparing it shows nothing",
        )


def _probe_module(text: str) -> str | None:
    tree = parse(text)
    if tree is None:
        return None
    inserter = _Inserter()
    try:
        changed = ast.unparse(ast.fix_missing_locations(inserter.visit(tree)))
    except (RecursionError, ValueError):
        return None
    return changed if inserter.count else None


class _Inserter(ast.NodeTransformer):
    """Turns `assert a == b` into `x = a; y = b; assert x == y; probe(x, y)`, each side evaluated once as before."""

    def __init__(self) -> None:
        self.count = 0

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
            return [node]
        if _binds_names(test):
            return [node]
        left, right, keep = self._keep(test.left, test.comparators[0])
        test.left, test.comparators = left, [right]
        return [*keep, node, _call(left, right)]

    def visit_Expr(self, node: ast.Expr) -> list[ast.stmt]:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or len(call.args) < 2:
            return [node]
        if call.func.attr not in EQUALITIES or any(isinstance(one, ast.Starred) for one in call.args):
            return [node]
        if _binds_names(call):
            return [node]
        left, right, keep = self._keep(call.args[0], call.args[1])
        call.args[:2] = [left, right]
        return [*keep, node, _call(left, right)]

    def _keep(self, left: ast.expr, right: ast.expr) -> tuple[ast.Name, ast.Name, list[ast.stmt]]:
        self.count += 1
        names = [f"_aicd_{side}_{self.count}" for side in ("left", "right")]
        keep: list[ast.stmt] = [
            ast.Assign(targets=[ast.Name(name, ast.Store())], value=value, lineno=0)
            for name, value in zip(names, (left, right), strict=True)
        ]
        return ast.Name(names[0], ast.Load()), ast.Name(names[1], ast.Load()), keep


def _binds_names(node: ast.AST) -> bool:
    """A walrus, an await or a yield inside depends on where it stands."""
    return any(isinstance(inner, ast.NamedExpr | ast.Yield | ast.YieldFrom) for inner in ast.walk(node))


def _call(left: ast.Name, right: ast.Name) -> ast.stmt:
    arguments: list[ast.expr] = [ast.Name(left.id, ast.Load()), ast.Name(right.id, ast.Load())]
    return ast.Expr(ast.Call(func=ast.Name(PROBE, ast.Load()), args=arguments, keywords=[]))
