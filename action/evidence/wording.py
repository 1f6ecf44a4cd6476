"""Sentences about a report: short, one line, and free of whatever the report tried to print."""

from __future__ import annotations

import re
from collections.abc import Iterable

from action.evidence.limits import PROBLEMS_KEPT

_LENGTH = 300
# Control characters, and the marks that turn the direction of text around them.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def one_line(text: str, length: int = _LENGTH) -> str:
    """`text` without control characters, cut to `length`."""
    if len(text) <= length and text.isprintable():
        return text.strip()
    clean = _UNPRINTABLE.sub(" ", _ANSI.sub("", text[: length * 4])).strip()
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def without_colours(text: str) -> str:
    return _ANSI.sub("", text)


class Problems:
    """What is wrong with one report, in the order found, each said once and at most twenty of them."""

    def __init__(self) -> None:
        self._said: dict[str, None] = {}
        self._more = 0

    def add(self, sentence: str) -> None:
        sentence = one_line(sentence)
        if sentence in self._said:
            return
        if len(self._said) < PROBLEMS_KEPT:
            self._said[sentence] = None
        else:
            self._more += 1

    def extend(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self.add(sentence)

    def told(self) -> tuple[str, ...]:
        more = (f"and {self._more} more problems of this kind",) if self._more else ()
        return (*self._said, *more)
