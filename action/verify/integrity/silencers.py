"""What a change silences a checker with: comments, decorators, conditions, stubs. Taken out before lint and types run.

Like a new coverage exclusion, a new silencer excuses nothing: what it hides counts, unless the maintainers allow
`warning-silenced` for the file. What stood anywhere in the base is not new.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from action.verify.integrity.difference import changed_paths
from action.verify.testcode import parse
from controlplane.evidence import IntegrityFinding

SILENCER = re.compile(
    r"#\s*(noqa\b|type:\s*ignore|pyright:|mypy:|(ruff|flake8):\s*noqa|ruff:\s*(disable|ignore)|pylint:\s*disable|"
    r"isort:\s*skip)",
    re.IGNORECASE,
)
UNCHECKED = re.compile(r"^(\s*)(el)?if\s+not\s+((typing|t)\.)?(TYPE_CHECKING|MYPY)\s*:(.*)$")


def find_silencers(base: Snapshot, head: Snapshot) -> Iterator[IntegrityFinding]:
    """A note for each file with new ones: they fail nothing by themselves."""
    known = _known(base, head)
    for path in changed_paths(base, head):
        numbers = [number for number, _ in _new(head.text(path), known)] if _is_python(path, head) else []
        if numbers:
            shown = ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")
            yield IntegrityFinding(
                kind="warning-silenced",
                fails=False,
                file=path,
                reason=f"a checker is silenced on line {shown}; what that hides counts all the same",
            )
        if _is_new_stub(path, base, head):
            yield IntegrityFinding(
                kind="warning-silenced",
                fails=False,
                file=path,
                reason="a stub stands in for the module beside it, which is checked all the same",
            )


def without_silencers(base: Snapshot, head: Snapshot, allowed: frozenset[str]) -> Snapshot:
    """The head without its new silencers, line for line; files of `allowed` stay as they are."""
    known = _known(base, head)
    contents = dict(head.contents)
    for path in changed_paths(base, head):
        if path in allowed:
            continue
        if _is_new_stub(path, base, head):
            del contents[path]
        elif _is_python(path, head):
            text = _stripped(head.text(path), known)
            if text is not None:
                contents[path] = text.encode("utf-8", errors="surrogatepass")
    if contents == head.contents:
        return head
    entries = {path: entry for path, entry in head.entries.items() if path in contents or path not in head.contents}
    return Snapshot(head.commit, entries, contents)


def _is_python(path: str, head: Snapshot) -> bool:
    return path.endswith((".py", ".pyi")) and path in head.contents


def _is_new_stub(path: str, base: Snapshot, head: Snapshot) -> bool:
    return path.endswith(".pyi") and path in head.contents.keys() - base.contents.keys() and path[:-1] in head.contents


def _known(base: Snapshot, head: Snapshot) -> Counter[str]:
    """Lines of the base that silence something, wherever they stand: moved ones are not new.

    The base is only read through where a changed file silences anything.
    """
    changed = (path for path in changed_paths(base, head) if _is_python(path, head))
    if not any(next(_silencing(head.text(path)), None) for path in changed):
        return Counter()
    return Counter(
        line for path in base.contents if path.endswith((".py", ".pyi")) for _, line in _silencing(base.text(path))
    )


def _new(text: str, known: Counter[str]) -> list[tuple[int, str]]:
    left = Counter(known)
    found = []
    for number, line in _silencing(text):
        if left[line] > 0:
            left[line] -= 1
        else:
            found.append((number, line))
    return found


def _silencing(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the lines that silence something."""
    if not re.search(r"noqa|ignore|mypy|MYPY|pyright|ruff|pylint|no_type_check|TYPE_CHECKING|isort", text):
        return
    lines = text.splitlines()
    numbers = {number for number, _ in _comments(text)} | _decorators(text)
    numbers |= {number for number, line in enumerate(lines, start=1) if UNCHECKED.match(line)}
    yield from ((number, lines[number - 1].strip()) for number in sorted(numbers) if number <= len(lines))


def _stripped(text: str, known: Counter[str]) -> str | None:
    new = {number for number, _ in _new(text, known)}
    if not new:
        return None
    lines = text.splitlines()
    comments = dict(_comments(text))
    decorators = _decorators(text)
    for number in new:
        line = lines[number - 1]
        if number in comments:
            lines[number - 1] = line[: comments[number]].rstrip()
        elif number in decorators:
            lines[number - 1] = ""
        else:
            lines[number - 1] = UNCHECKED.sub(r"\1\2if 1 + 1 == 2:\6", line)
    return "\n".join(lines) + "\n"


def _comments(text: str) -> list[tuple[int, int]]:
    """Line and column of each comment that silences; none where the text is no Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return []
    return [
        (token.start[0], token.start[1] + found.start())
        for token in tokens
        if token.type == tokenize.COMMENT and (found := SILENCER.search(token.string))
    ]


def _decorators(text: str) -> set[int]:
    if "no_type_check" not in text:
        return set()
    tree = parse(text)
    return {
        decorator.lineno
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for decorator in node.decorator_list
        if ast.unparse(decorator).endswith("no_type_check")
    }
