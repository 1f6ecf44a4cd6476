"""A parsed document that still knows where each of its values was written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from controlplane.spec import Problem
from controlplane.spec_limits import MAX_DEPTH, MAX_VALUES

Path = tuple[str | int, ...]
_IMPOSSIBLE = re.compile("[\x00\ud800-\udfff]")
_SHOWN_KEY_LENGTH = 60


class Place(NamedTuple):
    """Line and column, both from 1, columns in characters."""

    line: int
    column: int


class Unreadable(Exception):
    """The document cannot be read at all, so that one problem says everything. Never leaves this package."""

    def __init__(self, message: str, place: Place | None = None, path: str = "") -> None:
        super().__init__(message)
        self.problem = problem_at(path, place, message)

    def moved(self, lines: Sequence[int] | None) -> Unreadable:
        """The same, for a text that was cut out of a file line by line."""
        self.problem = moved_problem(self.problem, lines)
        return self


def moved_problem(problem: Problem, lines: Sequence[int] | None) -> Problem:
    """The same problem, where it stands in the file."""
    if lines is None or problem.line is None:
        return problem
    return problem.model_copy(update={"line": _line(problem.line, lines)})


def _line(line: int, lines: Sequence[int]) -> int:
    return lines[min(line - 1, len(lines) - 1)]


def problem_at(path: str, place: Place | None, message: str) -> Problem:
    """A `Problem`, with no line where none is known."""
    return Problem(
        path=path, line=place.line if place else None, column=place.column if place else None, message=message
    )


def dotted(path: Path) -> str:
    """`("planning", "epics", 0, "id")` as `planning.epics[0].id`, with keys made fit to be shown."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + shown(step)
    return text


def shown(text: str, length: int = _SHOWN_KEY_LENGTH) -> str:
    """What somebody wrote, cut and without control characters, fit for a message."""
    printable = "".join(character if character.isprintable() else "�" for character in text[: length + 1])
    return printable if len(printable) <= length else printable[:length] + "…"


@dataclass
class Tree:
    """`data` is plain Python. `keys` says where a key or list item begins, `values` where its value begins."""

    data: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place_of(self, path: Path) -> Place:
        """The nearest known place: a scalar's own, a collection's key, else that of what holds it."""
        while path:
            if not isinstance(self.at(path), dict | list) and path in self.values:
                return self.values[path]
            if path in self.keys:
                return self.keys[path]
            path = path[:-1]
        return self.values.get((), Place(1, 1))

    def at(self, path: Path) -> Any:
        """The value at a path, None where there is none."""
        here = self.data
        for step in path:
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                return None
        return here

    def moved(self, lines: Sequence[int]) -> Tree:
        """The same tree, for a text that was cut out of a file line by line."""
        problems = [moved_problem(problem, lines) for problem in self.problems]
        return Tree(self.data, _moved(self.keys, lines), _moved(self.values, lines), problems)


def _check_text(text: str, place: Place) -> None:
    """Zero bytes and half characters, which only escapes can write, fit neither UTF-8 nor the database."""
    if _IMPOSSIBLE.search(text):
        raise Unreadable("An escape here stands for no character of text (\\u0000 or half of one). Delete it.", place)


def _moved(places: dict[Path, Place], lines: Sequence[int]) -> dict[Path, Place]:
    return {path: Place(_line(place.line, lines), place.column) for path, place in places.items()}


@dataclass
class _Frame:
    container: dict[str, Any] | list[Any]
    path: Path
    pending: str | None = None
    ignored: bool = False


class TreeBuilder:
    """Builds a `Tree` from a stream of openings, keys, scalars and closings, within the bounds.

    Raises `Unreadable` when the document is deeper or has more values than allowed. A key written twice is a problem
    of the tree; the first value counts.
    """

    def __init__(self) -> None:
        self.tree = Tree()
        self._stack: list[_Frame] = []
        self._count = 0

    def open(self, container: dict[str, Any] | list[Any], place: Place) -> None:
        path = self._place_value(container, place)
        if len(self._stack) >= MAX_DEPTH:
            raise Unreadable(f"The document is nested deeper than {MAX_DEPTH} levels. Write it flatter.", place)
        self._stack.append(_Frame(container, path))

    def close(self) -> None:
        self._stack.pop()

    def wants_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].container, dict) and self._stack[-1].pending is None

    def key(self, text: str, place: Place) -> None:
        _check_text(text, place)
        frame = self._stack[-1]
        path = (*frame.path, text)
        frame.pending = text
        frame.ignored = text in frame.container
        if frame.ignored:
            first = self.tree.keys[path]
            message = f"'{shown(text)}' is written twice here (first in line {first.line}). Keep one of them."
            self.tree.problems.append(problem_at(dotted(path), place, message))
        else:
            self.tree.keys[path] = place

    def scalar(self, value: Any, place: Place) -> None:
        if isinstance(value, str):
            _check_text(value, place)
        self._place_value(value, place)

    def _place_value(self, value: Any, place: Place) -> Path:
        self._count += 1
        if self._count > MAX_VALUES:
            raise Unreadable(f"The document holds more than {MAX_VALUES} values. Split it into several.", place)
        if not self._stack:
            self.tree.data = value
            self.tree.values[()] = place
            return ()
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            path: Path = (*frame.path, len(frame.container))
            frame.container.append(value)
            self.tree.keys[path] = self.tree.values[path] = place
            return path
        assert frame.pending is not None
        path = (*frame.path, frame.pending)
        if frame.ignored:
            path = (*frame.path, f"{frame.pending} (again)")
        else:
            frame.container[frame.pending] = value
            self.tree.values[path] = place
        frame.pending, frame.ignored = None, False
        return path
