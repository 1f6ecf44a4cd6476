"""What a test module says, without running it: its tests, their bodies, assertions, parameters and marks."""

from __future__ import annotations

import ast
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class TestFunction:
    """One test. `body` is its code without name, docstring and marks: equal bodies mean the same test.

    `assertions` are its assertions as normalised code; `weight` is how often they are made, where parameters or a loop
    over literals say so. `marks` are its skip and xfail marks as code.
    """

    __test__ = False

    node_id: str
    line: int
    body: str
    assertions: tuple[str, ...]
    weight: int
    parameters: int
    marks: tuple[str, ...]
    node: FunctionNode


def read_tests(path: str, text: str) -> dict[str, TestFunction]:
    """Every test function of a module by node id (without parameters). A module that cannot be parsed has none."""
    return _read_tests(path, text)


@functools.lru_cache(maxsize=4096)
def _read_tests(path: str, text: str) -> dict[str, TestFunction]:
    tree = parse(text)
    if tree is None:
        return {}
    module_marks = _module_marks(tree)
    return {test.node_id: test for test in _tests_in(tree.body, path, module_marks)}


def parse(text: str) -> ast.Module | None:
    """A module's tree, or None when it is no Python; hostile depth is no Python either."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _tests_in(body: list[ast.stmt], prefix: str, marks: tuple[str, ...]) -> Iterator[TestFunction]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            if node.name.startswith("Test") or _is_test_case(node):
                yield from _tests_in(node.body, f"{prefix}::{node.name}", marks + _skip_marks(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield _test(node, prefix, marks)
        elif isinstance(node, ast.If | ast.Try):
            yield from _tests_in(node.body, prefix, marks)


def _test(node: FunctionNode, prefix: str, marks: tuple[str, ...]) -> TestFunction:
    statements = node.body[1:] if _is_docstring(node.body[0]) else node.body
    parameters = [_parameter_count(decorator) for decorator in node.decorator_list]
    count = functools.reduce(lambda left, right: left * right, parameters, 1)
    decorations = [ast.dump(one) for one in node.decorator_list if not _is_skip_mark(one)]
    found = [(assertion, times) for assertion, times in _assertions(statements, 1)]
    return TestFunction(
        node_id=f"{prefix}::{node.name}",
        line=node.lineno,
        body="\n".join([*decorations, ast.dump(node.args), *(ast.dump(one) for one in statements)]),
        assertions=tuple(assertion for assertion, _ in found),
        weight=count * sum(times for _, times in found),
        parameters=count,
        marks=marks + _skip_marks(node),
        node=node,
    )


def _assertions(statements: list[ast.stmt], times: int) -> Iterator[tuple[str, int]]:
    """Assertions of a body, each with how often a loop over literals repeats it. Ones that cannot fail do not count."""
    for statement in statements:
        repeated = times * _loop_length(statement)
        if isinstance(statement, ast.Assert):
            if not is_hollow(statement.test):
                yield ast.dump(statement.test), times
            continue
        for node in _own_expressions(statement):
            if _asserts(node):
                yield ast.dump(node), times
        for block in _blocks(statement):
            yield from _assertions(block, repeated)


def is_hollow(test: ast.expr) -> bool:
    """Whether an assertion holds whatever the code does: a true constant, a thing equal to itself, `… or True`."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Tuple):
        return bool(test.elts)
    if isinstance(test, ast.BoolOp):
        verdicts = [is_hollow(value) for value in test.values]
        return any(verdicts) if isinstance(test.op, ast.Or) else all(verdicts)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        return ast.dump(test.left) == ast.dump(test.comparators[0])
    return False


def _asserts(node: ast.AST) -> bool:
    """`self.assertX(…)`, `pytest.raises(…)`, `mock.assert_called_once()` and their like."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("assertTrue", "assertIsNotNone") and node.args and is_hollow(node.args[0]):
        return False
    return name.startswith("assert") or name in ("raises", "warns", "fail", "deprecated_call")


def _own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement that are not inside its blocks."""
    inside = {id(node) for block in _blocks(statement) for one in block for node in ast.walk(one)}
    return (node for node in ast.walk(statement) if id(node) not in inside)


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    blocks = [getattr(statement, name, None) for name in ("body", "orelse", "finalbody")]
    handlers = [handler.body for handler in getattr(statement, "handlers", [])]
    cases = [case.body for case in getattr(statement, "cases", [])]
    return [block for block in [*blocks, *handlers, *cases] if isinstance(block, list)]


def _loop_length(statement: ast.stmt) -> int:
    if isinstance(statement, ast.For) and isinstance(statement.iter, ast.List | ast.Tuple | ast.Set):
        return max(len(statement.iter.elts), 1)
    if isinstance(statement, ast.For) and isinstance(statement.iter, ast.Call):
        literal = statement.iter.func.value if isinstance(statement.iter.func, ast.Attribute) else None
        return max(len(literal.keys), 1) if isinstance(literal, ast.Dict) else 1
    return 1


def _parameter_count(decorator: ast.expr) -> int:
    if not isinstance(decorator, ast.Call) or not _dotted(decorator.func).endswith("parametrize"):
        return 1
    values = decorator.args[1] if len(decorator.args) > 1 else None
    for keyword in decorator.keywords:
        values = keyword.value if keyword.arg == "argvalues" else values
    return len(values.elts) if isinstance(values, ast.List | ast.Tuple | ast.Set) else 1


def _module_marks(tree: ast.Module) -> tuple[str, ...]:
    marks: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "pytestmark" for target in node.targets):
            values = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            marks += [ast.unparse(value) for value in values if _is_skip_mark(value)]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _is_skip_mark(node.value):
            marks.append(ast.unparse(node.value))
    return tuple(marks)


def _skip_marks(node: FunctionNode | ast.ClassDef) -> tuple[str, ...]:
    marks = [ast.unparse(decorator) for decorator in node.decorator_list if _is_skip_mark(decorator)]
    if not isinstance(node, ast.ClassDef):
        calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
        marks += [ast.unparse(call) for call in calls if _is_skip_call(call)]
    return tuple(marks)


def _is_skip_mark(node: ast.expr) -> bool:
    name = _dotted(node.func if isinstance(node, ast.Call) else node)
    last = name.rpartition(".")[2]
    return last in ("skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure", "importorskip")


def _is_skip_call(call: ast.Call) -> bool:
    return _dotted(call.func) in (
        "pytest.skip",
        "pytest.xfail",
        "pytest.importorskip",
        "self.skipTest",
        "unittest.SkipTest",
        "SkipTest",
    )


def _is_test_case(node: ast.ClassDef) -> bool:
    return any(_dotted(base).endswith("TestCase") for base in node.bases)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
