"""Examples in docstrings and texts that the base runs as tests: a change may not rewrite what they expect.

Those in texts (`--doctest-glob`) are laid over like any other test. Those in docstrings stand in the product's own
code, so the base's examples are put back into the change's code, and that is run apart.
"""

from __future__ import annotations

import ast
import fnmatch
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from action.verify.checkout import Snapshot
from action.verify.layout import is_source
from action.verify.pytestrun import PytestRun
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DEFAULT_GLOB = "test*.txt"


def doctest_options(settings: Mapping[str, Any]) -> tuple[bool, tuple[str, ...]]:
    """Whether pytest's settings ask for the examples of modules, and the patterns of texts that hold some."""
    value = settings.get("addopts")
    try:
        words = [str(one) for one in value] if isinstance(value, list) else shlex.split(str(value or ""))
    except ValueError:
        words = str(value).split()
    globs = [word.partition("=")[2] for word in words if word.startswith("--doctest-glob=")]
    globs += [after for word, after in pairwise(words) if word == "--doctest-glob"]
    return "--doctest-modules" in words, tuple(globs or [DEFAULT_GLOB])


def with_base_examples(base: Snapshot, head: Snapshot) -> tuple[Snapshot, tuple[str, ...]]:
    """The head with the base's examples in its docstrings, and the files in which that makes a difference."""
    contents = dict(head.contents)
    asked, _ = doctest_options(base.pytest_config.settings)
    patterns = base.pytest_config.python_files
    for path in sorted(base.contents.keys() & head.contents.keys()) if asked else ():
        if base.contents[path] != head.contents[path] and is_source(path, patterns):
            text = _with_examples(base.text(path), head.text(path))
            if text is not None:
                contents[path] = text.encode("utf-8", errors="surrogatepass")
    changed = tuple(path for path in sorted(contents) if contents[path] != head.contents.get(path))
    return Snapshot(head.commit, head.entries, contents), changed


def find_rewritten_examples(run: PytestRun | None) -> Iterator[IntegrityFinding]:
    """Examples of the base that fail in the change's code, where its own do not."""
    by_file: dict[str, list[str]] = {}
    for node in sorted(run.recorded.ids("failed", "error")) if run else ():
        by_file.setdefault(node.partition("::")[0], []).append(node)
    for file, node_ids in by_file.items():
        yield IntegrityFinding(
            kind="test-failed",
            fails=True,
            file=file,
            node_ids=tuple(node_ids),
            reason="an example of the base, which the change rewrote in a docstring, does not hold",
        )


def still_documented(node_id: str, head: Snapshot) -> bool:
    """Whether the name that a vanished example was told by has examples in another module of the head."""
    path, _, name = node_id.partition("::")
    if not path.endswith(".py") or "." not in name:
        return False
    last = name.rpartition(".")[2]
    return any(
        qualified.rpartition(".")[2] == last
        for other in head.contents
        if other.endswith(".py") and is_source(other)
        for qualified in _examples(head.text(other))
    )


def matches_texts(path: str, globs: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    return not path.endswith(".py") and any(fnmatch.fnmatch(path if "/" in one else name, one) for one in globs)


def _with_examples(before: str, after: str) -> str | None:
    old, new = _examples(before), _docstrings(after)
    lines = after.splitlines()
    differing = [(new[name], text) for name, text in old.items() if name in new and ast.literal_eval(new[name]) != text]
    for node, text in sorted(differing, key=lambda one: one[0].lineno, reverse=True):
        last = node.end_lineno or node.lineno
        rest = lines[last - 1].encode()[node.end_col_offset or 0 :].decode()
        lines[node.lineno - 1 : last] = [lines[node.lineno - 1][: node.col_offset] + repr(text) + rest]
    return "\n".join(lines) + "\n" if differing else None


def _examples(text: str) -> dict[str, str]:
    """Docstrings with examples, by qualified name; a module's own has the empty name."""
    if ">>>" not in text:
        return {}
    return {name: value for name, node in _docstrings(text).items() if ">>>" in (value := str(ast.literal_eval(node)))}


def _docstrings(text: str) -> dict[str, ast.Constant]:
    tree = parse(text)
    return dict(_walk(tree, "")) if tree else {}


def _walk(node: Documented, name: str) -> Iterator[tuple[str, ast.Constant]]:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        yield name, first.value
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(inner, f"{name}.{inner.name}".lstrip("."))
