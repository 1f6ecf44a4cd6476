"""What a test module says, without running it: its tests, their bodies, assertions, parameters and marks."""

from __future__ import annotations

import ast
import functools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
    node: FunctionNode = field(compare=False, repr=False)

    def calls(self) -> Iterator[tuple[str, int]]:
        """The functions it calls by a plain name, each with how often: some of them may assert."""
        return ((name, self.parameters * times) for name, times in _plain_calls(self.node.body, 1))


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


@functools.lru_cache(maxsize=4096)
def asserting_functions(text: str) -> dict[str, int]:
    """Functions of a module, tests left out, that assert for those who call them: name → the least that it demands."""
    tree = parse(text)
    found = {}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("test"):
            demands = _strictness(node, {})
            if demands and not _swallows(node):
                found[node.name] = min(demands)
    return found


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


def _plain_calls(statements: list[ast.stmt], times: int) -> Iterator[tuple[str, int]]:
    """Names called in a body, as `name(…)`, `module.name(…)` or `self.name(…)`, each with how often it is called."""
    for statement in statements:
        for node in _own_expressions(statement):
            if isinstance(node, ast.Call) and not _asserts(node):
                name = _dotted(node.func).rpartition(".")[2]
                if name:
                    yield name, times
        for block in _blocks(statement):
            yield from _plain_calls(block, times * _loop_length(statement))


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
    if name in _UNITTEST_STRICT and len(node.args) >= 2 and ast.dump(node.args[0]) == ast.dump(node.args[1]):
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


# From strict to loose: what a comparison demands of the left side.
_STRICTNESS = {
    ast.Eq: 3,
    ast.Is: 3,
    ast.NotEq: 1,
    ast.In: 2,
    ast.Lt: 2,
    ast.LtE: 2,
    ast.Gt: 2,
    ast.GtE: 2,
    ast.IsNot: 1,
}
_UNITTEST_STRICT = ("assertEqual", "assertEquals", "assertListEqual", "assertDictEqual", "assertIs", "assertCountEqual")
_TOLERANCES = ("abs", "rel", "abs_tol", "rel_tol", "atol", "rtol", "delta")


def weaknesses(
    old: FunctionNode, new: FunctionNode, asserting_before: Mapping[str, int], asserting: Mapping[str, int]
) -> Iterator[str]:
    """In what way a test with as many assertions demands less than before.

    Functions that assert for their callers count where they are called.
    """
    before, after = _strictness(old, asserting_before), _strictness(new, asserting)
    # Fewer assertions, repeated by parameters, are compared by their weakest; as many, one with the other.
    if (len(after) < len(before) and min(after, default=0) < min(before)) or (
        len(after) == len(before) and sum(after) < sum(before)
    ):
        yield "its comparisons are looser than before"
    for name, value in _tolerances(new).items():
        earlier = _tolerances(old).get(name)
        if value > (earlier if earlier is not None else value):
            yield f"its tolerance `{name}` went from {earlier} to {value}"
    loosened = _approximations(new) - _approximations(old)
    if loosened > 0:
        yield "it compares approximately what it compared exactly"


def swallows_now(old: FunctionNode, new: FunctionNode) -> bool:
    """Whether a failed assertion may end inside the test, and could not before."""
    return _swallows(new) and not _swallows(old)


def _strictness(node: FunctionNode, asserting: Mapping[str, int]) -> list[int]:
    found = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assert) and not is_hollow(inner.test):
            operators = inner.test.ops if isinstance(inner.test, ast.Compare) else []
            found.append(max((_STRICTNESS.get(type(one), 1) for one in operators), default=1))
        elif _asserts(inner) and isinstance(inner, ast.Call):
            found.append(3 if _dotted(inner.func).rpartition(".")[2] in (*_UNITTEST_STRICT, "raises") else 1)
        elif isinstance(inner, ast.Call) and _dotted(inner.func).rpartition(".")[2] in asserting:
            found.append(asserting[_dotted(inner.func).rpartition(".")[2]])
    return found


def _tolerances(node: FunctionNode) -> dict[str, float]:
    """The loosest value of each tolerance that a test names; `places` of unittest is turned around."""
    found: dict[str, float] = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            for keyword in inner.keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if isinstance(value, int | float) and keyword.arg in (*_TOLERANCES, "places"):
                    loose = -value if keyword.arg == "places" else value
                    found[keyword.arg] = max(found.get(keyword.arg, loose), loose)
    return found


def _approximations(node: FunctionNode) -> int:
    names = ("approx", "isclose", "allclose", "assert_allclose", "assertAlmostEqual")
    calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return sum(_dotted(call.func).rpartition(".")[2] in names for call in calls)


def _swallows(node: FunctionNode) -> bool:
    """Whether an exception, and so a failed assertion, may end inside the test."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.ExceptHandler):
            names = {_dotted(part) for part in _types(inner.type)} if inner.type else {""}
            if names & {"", "Exception", "BaseException", "AssertionError"} and not _raises_again(inner):
                return True
        if isinstance(inner, ast.With | ast.AsyncWith):
            calls = [item.context_expr for item in inner.items if isinstance(item.context_expr, ast.Call)]
            if any(_dotted(call.func).endswith("suppress") for call in calls):
                return True
    return False


def _types(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _raises_again(handler: ast.ExceptHandler) -> bool:
    inner = [node for statement in handler.body for node in ast.walk(statement)]
    return any(isinstance(node, ast.Raise) or _asserts(node) for node in inner)
