"""Product code that asks whether it is being tested: the answer would be right only while somebody looks.

Two ways of finding out. By reading: new conditions on pytest being loaded, on variables that test runs set, on our own
sandbox, on stack frames, on a literal date. And by running the base's tests once more in disguise (`disguised`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from action.verify.checkout import Snapshot
from action.verify.integrity.difference import changed_paths
from action.verify.layout import is_side_script, is_source
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding

TEST_TOOLS = re.compile(r"^_?(pytest|py\.test|unittest|nose2?|hypothesis|coverage|doctest|pluggy|recorder)(\.|$)", re.I)
TEST_VARIABLES = re.compile(r"^(PYTEST|AICD_(SANDBOX|STACK)$|COVERAGE|HYPOTHESIS|TOX_|NOX_)", re.I)
FRAMES = frozenset({"f_back", "tb_frame", "f_globals", "f_locals", "f_lineno", "gi_frame", "cr_frame", "ag_frame"})
INSIDES = frozenset({"__closure__", "cell_contents"})
STACK_CALLS = frozenset({"inspect.stack", "inspect.currentframe", "inspect.getouterframes", "sys._getframe"})
TRACERS = frozenset({"sys.gettrace", "sys.getprofile", "sys.settrace", "sys.setprofile"})
PLACES = ("sys.modules", "os.environ", "sys.argv", "environ", "modules", "argv")
CLOCKS = frozenset({"today", "now", "utcnow", "time", "time_ns"})
FLAGS = frozenset({"sys.flags.isolated", "sys.flags.safe_path", "sys.flags.ignore_environment"})


def find_detection(base: Snapshot, head: Snapshot, *, fresh: bool) -> Iterator[IntegrityFinding]:
    """New product code that asks for signs of a test run; what the base's product asked for anywhere is not new."""
    patterns = base.pytest_config.python_files
    paths = [path for path in changed_paths(base, head) if path in head.contents and is_source(path, patterns)]
    if fresh or not paths:
        return
    known = {sign for path in base.contents if is_source(path, patterns) for sign, _ in signs_of(base.text(path))}
    for path in paths:
        if is_side_script(path):
            continue
        new = {sign: line for sign, line in signs_of(head.text(path)) if sign not in known}
        if new:
            told = "; ".join(f"line {line}: {sign}" for sign, line in sorted(new.items(), key=lambda one: one[1])[:5])
            yield IntegrityFinding(
                kind="test-detected", fails=True, file=path, reason=f"it asks for signs of being tested: {told}"
            )


def find_disguise_seen(nodes: Iterable[str]) -> Iterator[IntegrityFinding]:
    """Tests that pass only as long as the code can tell that they are tests."""
    by_file: dict[str, list[str]] = {}
    for node in sorted(nodes):
        by_file.setdefault(node.partition("::")[0], []).append(node)
    for file, node_ids in by_file.items():
        yield IntegrityFinding(
            kind="test-detected",
            fails=True,
            file=file,
            node_ids=tuple(node_ids),
            reason="it passes, but not when the code is kept from seeing that a test asks",
        )


def signs_of(text: str) -> list[tuple[str, int]]:
    """Each sign of a test run that a module asks for, with its line."""
    tree = parse(text)
    return (
        [] if tree is None else [(sign, getattr(node, "lineno", 0)) for node in ast.walk(tree) for sign in _signs(node)]
    )


def _signs(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        name = ast.unparse(node)
        if node.attr in FRAMES | INSIDES:
            yield f"the attribute {node.attr} of a frame or function"
        elif name in FLAGS:
            yield name
    elif isinstance(node, ast.Call):
        yield from _called(node)
    elif isinstance(node, ast.Compare):
        yield from _compared(node)
    elif isinstance(node, ast.Subscript):
        yield from _looked_up(node.value, [node.slice])
    elif isinstance(node, ast.Import):
        yield from (f"the module {alias.name}" for alias in node.names if _is_insides(alias.name))
    elif isinstance(node, ast.ImportFrom) and _is_insides(node.module or ""):
        yield f"the module {node.module}"


def _called(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name in STACK_CALLS | TRACERS:
        yield f"{name}()"
    if isinstance(node.func, ast.Attribute):
        yield from _looked_up(node.func.value, node.args)
    if name.rpartition(".")[2] == "getenv":
        yield from (f"the variable {text}" for text in _texts(node.args) if TEST_VARIABLES.match(text))


def _compared(node: ast.Compare) -> Iterator[str]:
    sides = [node.left, *node.comparators]
    for side in sides:
        yield from _looked_up(side, [one for one in sides if one is not side])
    if any(_is_clock(side) for side in sides) and any(_is_literal_time(side) for side in sides):
        yield "whether a literal date has come"


def _looked_up(place: ast.expr, keys: list[ast.expr]) -> Iterator[str]:
    """`"pytest" in sys.modules`, `os.environ.get("PYTEST_CURRENT_TEST")` and their like."""
    name = ast.unparse(place)
    if not name.startswith(PLACES) and not name.endswith(tuple(f".{one}" for one in PLACES)):
        return
    for text in _texts(keys):
        if TEST_TOOLS.match(text) or TEST_VARIABLES.match(text):
            yield f"{text!r} in {name}"


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value


def _is_insides(module: str) -> bool:
    """A module that only test tools themselves are made of."""
    return module.partition(".")[0] in ("_pytest", "pluggy", "recorder")


def _is_clock(node: ast.expr) -> bool:
    return any(
        isinstance(inner, ast.Call) and ast.unparse(inner.func).rpartition(".")[2] in CLOCKS for inner in ast.walk(node)
    )


def _is_literal_time(node: ast.expr) -> bool:
    """`date(2030, 1, 1)`, `1893456000`, `"2030-01-01"`."""
    if isinstance(node, ast.Constant):
        late = isinstance(node.value, int | float) and node.value > 1_000_000_000
        return late or (isinstance(node.value, str) and bool(re.match(r"^\d{4}-\d\d", node.value)))
    if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in ("date", "datetime"):
        return False
    return len(node.args) >= 3 and all(isinstance(one, ast.Constant) for one in node.args[:3])
