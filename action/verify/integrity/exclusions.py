"""Lines that the change excuses from coverage: by a pragma, or by keeping code as text, which is never measured."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from action.verify.coveragesettings import PRAGMA
from action.verify.integrity.difference import added_lines, changed_paths
from action.verify.layout import is_source
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding


def find_exclusions(base: Snapshot, head: Snapshot, *, fresh: bool) -> Iterator[IntegrityFinding]:
    """New `pragma: no cover` fails (its lines count as missing anyway), and so does a program in a string."""
    # A line that only moved is as often there as before.
    more = _excusing(head) - _excusing(base)
    for path in changed_paths(base, head):
        if not path.endswith(".py") or path not in head.contents:
            continue
        texts = _new_texts(base.text(path), head.text(path))
        excused = [number for number, text in texts if re.search(PRAGMA, text) and text.strip() in more]
        run_from_text = _programs(head.text(path)) - _programs(base.text(path))
        if excused:
            yield IntegrityFinding(
                kind="coverage-exclusion",
                fails=not fresh,
                file=path,
                reason=f"new `pragma: no cover` on {_numbers(excused)}; what it excuses counts as missing",
            )
        if run_from_text and is_source(path, base.pytest_config.python_files):
            yield IntegrityFinding(
                kind="coverage-exclusion",
                fails=not fresh,
                file=path,
                reason="it runs a program that it keeps as text, whose lines no test can be shown to reach",
            )


def _excusing(snapshot: Snapshot) -> Counter[str]:
    return Counter(
        line.strip()
        for path in snapshot.contents
        if path.endswith(".py") and b"ragma" in snapshot.contents[path].lower()
        for line in snapshot.text(path).splitlines()
        if re.search(PRAGMA, line)
    )


def _programs(text: str) -> frozenset[str]:
    """Literal texts of several statements that a module hands to `exec`."""
    tree = parse(text) if "exec" in text else None
    return frozenset(
        inner.value
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "exec"
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and "\n" in inner.value
    )


def _new_texts(before: str, after: str) -> list[tuple[int, str]]:
    """New lines whose text the file did not hold before: moved ones are not new."""
    known = {line.strip() for line in before.splitlines()}
    lines = after.splitlines()
    numbers = sorted(added_lines(before, after))
    return [(number, lines[number - 1]) for number in numbers if lines[number - 1].strip() not in known]


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{' …' if len(numbers) > 10 else ''}"
