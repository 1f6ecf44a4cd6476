"""The faults that can be put into a line of Python: one place, one small change, always valid Python."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

from action.verify.testcode import parse

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
# What says nothing of what a program does, or whose places within a line Python does not tell.
SKIPPED = (ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)


@dataclass(frozen=True, order=True)
class Mutant:
    """One fault: the characters from (line, column) to (end_line, end_column) become `written`; columns count bytes.

    `first` and `last` are the lines of the statement it sits in.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    operator: str
    before: str
    after: str
    written: str
    first: int = field(compare=False)
    last: int = field(compare=False)

    @property
    def label(self) -> str:
        return f"{self.path}:{self.line}: {self.before} → {self.after}"

    def put_into(self, text: str) -> str:
        """The module with this fault."""
        lines = text.encode().splitlines(keepends=True)
        start = lines[self.line - 1][: self.column]
        rest = lines[self.end_line - 1][self.end_column :]
        made = [*lines[: self.line - 1], start + self.written.encode() + rest, *lines[self.end_line :]]
        return b"".join(made).decode()


def find_mutants(path: str, text: str, lines: frozenset[int]) -> list[Mutant]:
    """Every mutant of the nodes that begin on these lines, in the order of the text. A broken module has none."""
    tree = parse(text)
    if tree is None:
        return []
    written = text.encode().splitlines(keepends=True)
    try:
        return sorted(
            _mutant(path, written, statement, node, operator, changed)
            for statement in _statements(tree)
            for node in _expressions(statement)
            if getattr(node, "lineno", 0) in lines
            for operator, changed in _changes(node)
        )
    except (RecursionError, ValueError):  # nested, or numbers longer, than Python itself would write down
        return []


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Every statement that does something; not those for the type checker, nor a script's own start."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.stmt):
            if isinstance(node, SKIPPED) or (isinstance(node, ast.If) and _is_set_aside(node.test)):
                continue
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                yield node
        pending.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def _is_set_aside(test: ast.expr) -> bool:
    text = ast.unparse(test)
    return "TYPE_CHECKING" in text or text.startswith("__name__ ==")


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The statement and the expressions of its own; the bodies below it are statements of theirs."""
    yield statement
    pending = list(_own_parts(statement))
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.stmt, *SKIPPED)):
            continue
        yield node
        pending.extend(ast.iter_child_nodes(node))


def _own_parts(statement: ast.stmt) -> Iterator[ast.AST]:
    left_out: set[int] = set()
    for name in ("annotation", "returns"):
        value = getattr(statement, name, None)
        if isinstance(value, ast.AST):
            left_out.add(id(value))
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        defaults = [*statement.args.defaults, *(one for one in statement.args.kw_defaults if one is not None)]
        yield from defaults
        return
    if isinstance(statement, ast.ClassDef):
        return
    for child in ast.iter_child_nodes(statement):
        if id(child) not in left_out and not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Each changed copy of a node, with the name of what was done to it."""
    changed: ast.AST = copy.deepcopy(node)
    if isinstance(changed, ast.Compare):
        for number, operator in enumerate(changed.ops):
            one = copy.deepcopy(changed)
            one.ops[number] = COMPARISONS[type(operator)]()
            yield "comparison", one
    elif isinstance(changed, ast.BinOp | ast.AugAssign) and type(changed.op) in ARITHMETIC:
        changed.op = ARITHMETIC[type(changed.op)]()
        yield "arithmetic", changed
    elif isinstance(changed, ast.BoolOp):
        changed.op = ast.Or() if isinstance(changed.op, ast.And) else ast.And()
        yield "boolean", changed
    elif isinstance(changed, ast.UnaryOp) and isinstance(changed.op, ast.Not):
        yield "boolean", changed.operand
    elif isinstance(changed, ast.Constant) and isinstance(changed.value, bool):
        yield "constant", ast.Constant(not changed.value)
    elif isinstance(changed, ast.Constant) and isinstance(changed.value, int | float):
        yield "constant", ast.Constant(changed.value + 1)
    elif isinstance(changed, ast.Return) and changed.value is not None and not _is_none(changed.value):
        yield "return", ast.Return(ast.Constant(None))


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _mutant(
    path: str, lines: list[bytes], statement: ast.stmt, node: ast.AST, operator: str, changed: ast.AST
) -> Mutant:
    assert isinstance(node, ast.expr | ast.stmt)
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    after = ast.unparse(ast.fix_missing_locations(changed))
    return Mutant(
        path=path,
        line=node.lineno,
        column=node.col_offset,
        end_line=end_line,
        end_column=end_column,
        operator=operator,
        before=_one_line(_segment(lines, node.lineno, node.col_offset, end_line, end_column)),
        after=_one_line(after),
        # Whatever stands around it, in brackets it binds as it did; a bare number needs none.
        written=after if isinstance(changed, ast.stmt | ast.Constant) else f"({after})",
        first=statement.lineno,
        last=_last_own_line(statement),
    )


def _segment(lines: list[bytes], line: int, column: int, end_line: int, end_column: int) -> str:
    if line == end_line:
        return lines[line - 1][column:end_column].decode(errors="replace")
    whole = [lines[line - 1][column:], *lines[line : end_line - 1], lines[end_line - 1][:end_column]]
    return b"".join(whole).decode(errors="replace")


def _last_own_line(statement: ast.stmt) -> int:
    """Where a statement ends, or its head if it has a body."""
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        return max(statement.lineno, body[0].lineno - 1)
    return statement.end_lineno or statement.lineno


def _one_line(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 60 else joined[:57] + "…"
