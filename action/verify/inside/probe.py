"""Compares a value under test with neighbours of what was expected. None of them may be equal to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

PLAIN = (int, float, complex, str, bytes, bool, type(None), list, tuple, dict, set, frozenset)
# Where `ANY` and `approx` come from: the test's own tools.
TOLERANT = ("unittest.mock", "_pytest.python_api")
DEEPEST = 4
LONGEST = 50


def make_probe(tell: Callable[[], None]) -> Callable[[Any, Any], None]:
    """A function of (left, right) that calls `tell` when one side equals what it should not."""

    def probe(left: Any, right: Any) -> None:
        try:
            if _is_plainly_other(left, right) or is_subverted(left, right) or is_subverted(right, left):
                tell()
        except Exception:  # noqa: BLE001 - a strange __eq__ may raise; the test itself has judged already
            return

    return probe


def _is_plainly_other(left: Any, right: Any) -> bool:
    """Whether an assertion has let two values pass that are not equal when they are asked again."""
    if type(left).__module__ in TOLERANT or type(right).__module__ in TOLERANT:
        return False
    verdict = left == right
    return type(verdict) is bool and not verdict


def is_subverted(value: Any, expected: Any, depth: int = 0) -> bool:
    """Whether `value`, of a type of the repository's own, equals a neighbour of a plain `expected`."""
    if type(expected) not in PLAIN or depth > DEEPEST:
        return False
    if type(value) in PLAIN:
        return any(is_subverted(one, other, depth + 1) for one, other in _pairs(value, expected))
    if type(value).__module__ in TOLERANT:
        return False
    return sum(bool(value == neighbour) for neighbour in neighbours(expected)) > 1


def neighbours(expected: Any) -> Iterator[Any]:
    """Values of the same kind, none equal to the expected one, and far from one another."""
    if isinstance(expected, bool) or expected is None:
        yield from ("neither true nor false", 7919, [object()])
    elif isinstance(expected, int | float | complex):
        yield from (expected + 7919, expected - 104729, expected + 1299709)
    elif isinstance(expected, str):
        yield from (expected + "\x00other", "\x00" + expected, "\x00quite another")
    elif isinstance(expected, bytes):
        yield from (expected + b"\x00other", b"\x00" + expected, b"\x00quite another")
    elif isinstance(expected, list | tuple):
        yield from (type(expected)([*expected, object()]), type(expected)([object()]), type(expected)([7919] * 3))
    elif isinstance(expected, dict):
        yield from ({**expected, "\x00": object()}, {"\x00other": 1}, {7919: 7919})
    else:
        yield from ({*expected, "\x00other"}, {"\x00other"}, {7919, 104729})


def _pairs(value: Any, expected: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, list | tuple) and isinstance(expected, list | tuple) and len(value) == len(expected):
        yield from zip(value[:LONGEST], expected[:LONGEST], strict=True)
    elif isinstance(value, dict) and isinstance(expected, dict):
        for key in list(value)[:LONGEST]:
            if type(key) in PLAIN and key in expected:
                yield value[key], expected[key]
