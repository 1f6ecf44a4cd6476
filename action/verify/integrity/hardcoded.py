"""Answers written into the code for exactly the inputs that a test asks about.

A special case for one input is normal code, so the look of it alone says nothing. It counts when the change adds it,
when the input and the answer are those of a test of the base, and when that very test failed before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from action.verify.checkout import Snapshot
from action.verify.integrity.tests import tests_of
from action.verify.layout import is_source
from action.verify.pytestrun import PytestRun
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding

Constants = frozenset[str]
LONGEST_CASE = 3


@dataclass(frozen=True)
class SpecialCase:
    """In `file` at `line`: for the constants `asked` the constants `answer` are returned."""

    file: str
    line: int
    asked: Constants
    answer: str


def find_special_cases(base: Snapshot, head: Snapshot) -> dict[str, SpecialCase]:
    """Node ids of the base's tests, without parameters, for whose input the change adds an answer of its own."""
    cases = [case for case in _added_cases(base, head) if _is_telling(case)]
    found = {}
    if cases:
        for node_id, test in tests_of(base).items():
            for asked, answers in _questions(test.node):
                for case in cases:
                    # Of several arguments the special case may look at one.
                    if case.asked <= asked and case.answer in answers:
                        found[node_id] = case
    return found


def find_hard_coded(
    cases: dict[str, SpecialCase], laid_over: PytestRun | None, before: PytestRun | None
) -> Iterator[IntegrityFinding]:
    """Those of the special cases whose test failed on the base and passes now."""
    if laid_over is None or before is None:
        return
    healed = laid_over.recorded.ids("passed") & before.recorded.ids("failed", "error")
    for node_id, case in sorted(cases.items()):
        nodes = tuple(sorted(node for node in healed if node.partition("[")[0] == node_id))
        if nodes:
            yield IntegrityFinding(
                kind="answer-hard-coded",
                fails=True,
                file=case.file,
                node_ids=nodes,
                reason=f"line {case.line} returns the expected answer for just the input of this test",
            )


def _added_cases(base: Snapshot, head: Snapshot) -> Iterator[SpecialCase]:
    for path in sorted(head.contents):
        if is_source(path) and base.contents.get(path) != head.contents[path]:
            old = {(case.asked, case.answer) for case in _cases_in(path, base.text(path))}
            yield from (case for case in _cases_in(path, head.text(path)) if (case.asked, case.answer) not in old)


def _cases_in(path: str, text: str) -> Iterator[SpecialCase]:
    tree = parse(text)
    for node in ast.walk(tree) if tree else ():
        line = getattr(node, "lineno", 0)
        for asked, answer in _answers(node):
            if asked and answer is not None:
                yield SpecialCase(path, line, asked, answer)


def _answers(node: ast.AST) -> Iterator[tuple[Constants, str | None]]:
    if isinstance(node, ast.If):
        for asked in _alternatives(node.test):
            yield asked, _returned(node.body)
    elif isinstance(node, ast.IfExp):
        for asked in _alternatives(node.test):
            yield asked, _literal(node.body)
    elif isinstance(node, ast.match_case):
        values = [part.value for part in ast.walk(node.pattern) if isinstance(part, ast.MatchValue)]
        yield _literals(values), _returned(node.body)
    elif isinstance(node, ast.Dict):
        # A table counts when a key holds several inputs at once, or when it has hardly an entry.
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and (isinstance(key, ast.Tuple) or len(node.keys) <= 2):
                yield _literals(key.elts if isinstance(key, ast.Tuple) else [key]), _literal(value)


def _alternatives(test: ast.expr) -> Iterator[Constants]:
    """What a test of a condition asks for; `args == (2, 3)` may ask for one tuple or for two arguments."""
    yield _asked_by(test)
    for part in test.values if isinstance(test, ast.BoolOp) else [test]:
        if isinstance(part, ast.Compare) and isinstance(part.ops[0], ast.Eq) and isinstance(part.left, ast.Name):
            compared = part.comparators[0]
            if isinstance(compared, ast.Tuple):
                yield _literals(compared.elts)


def _asked_by(test: ast.expr) -> Constants:
    """The constants that bare names are compared with: `n == 7`, `(a, b) == (2, 3)`, `a == 2 and b == 3`."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        parts = [_asked_by(value) for value in test.values]
        return frozenset().union(*parts) if all(parts) else frozenset()
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq | ast.Is | ast.In):
        return frozenset()
    left, right = test.left, test.comparators[0]
    if _is_bare(right) and not _is_bare(left):
        left, right = right, left
    if not _is_bare(left) or _literal(right) is None:
        return frozenset()
    if isinstance(left, ast.Tuple) and isinstance(right, ast.Tuple):
        return _literals(right.elts)
    if isinstance(test.ops[0], ast.In) and isinstance(right, ast.Tuple | ast.List | ast.Set) and len(right.elts) == 1:
        return _literals(right.elts)
    return frozenset({_literal(right) or ""})


def _is_bare(node: ast.expr) -> bool:
    """A name or an attribute as it came in, perhaps wrapped in a plain conversion such as `list(xs)`."""
    if isinstance(node, ast.Tuple):
        return bool(node.elts) and all(_is_bare(one) for one in node.elts)
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        return getattr(node.func, "id", "") in ("list", "tuple", "str", "int", "set", "sorted") and _is_bare(
            node.args[0]
        )
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_bare(node.value))


def _returned(body: list[ast.stmt]) -> str | None:
    """The literal that a short block gives for an answer, whether it returns, yields or keeps it."""
    if len(body) > LONGEST_CASE:
        return None
    for statement in body:
        value = statement.value if isinstance(statement, ast.Return | ast.Assign | ast.Expr) else None
        if isinstance(value, ast.Yield | ast.YieldFrom):
            value = value.value
        answer = _literal(value) if value is not None else None
        if answer is not None:
            return answer
    return None


def _questions(function: ast.AST) -> Iterator[tuple[Constants, frozenset[str]]]:
    """What a test asks with, and the literals that stand beside it as answers: per assertion, and per parameter row."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Expr):
            for call in (inner for inner in ast.walk(node) if isinstance(inner, ast.Call)):
                asked = _literals([*call.args, *(keyword.value for keyword in call.keywords)])
                if asked:
                    yield asked, _all_literals(node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            yield _literals(node.value.args), _all_literals(function)
        elif isinstance(node, ast.Tuple) and len(node.elts) >= 2:
            yield _literals(node.elts[:-1]), _literals(node.elts[-1:])


def _literals(nodes: list[ast.expr]) -> Constants:
    found = [_literal(node) for node in nodes]
    return frozenset(one for one in found if one is not None) if all(one is not None for one in found) else frozenset()


def _all_literals(node: ast.AST) -> frozenset[str]:
    found = (_literal(inner) for inner in ast.walk(node) if isinstance(inner, ast.expr))
    return frozenset(one for one in found if one is not None)


def _literal(node: ast.expr) -> str | None:
    """A literal's value as text, None for anything that is computed. Lists and tuples are told alike."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return repr(list(value)) if isinstance(value, list | tuple) else repr(value)


_TRIVIAL = frozenset({"None", "True", "False", "0", "1", "2", "-1", "-2", "0.0", "1.0", "''", "b''", "[]", "{}"})


def _is_telling(case: SpecialCase) -> bool:
    """Special cases of nothing, zero and one are what good code is made of."""
    return len(case.asked) > 1 or not case.asked <= _TRIVIAL
