"""JSON (RFC 8259) → `Tree`: iterative, with positions; a key written twice is named, NaN and Infinity are refused."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C scanner of one string

from controlplane.spec_limits import MAX_NUMBER_LENGTH
from controlplane.specfile.tree import Place, Tree, TreeBuilder, Unreadable, shown

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[-+]?[A-Za-z_][A-Za-z_0-9]{0,39}")
_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def read_json(text: str) -> Tree:
    """The one value of `text`. Raises `Unreadable`."""
    return _Reader(text).read()


class _Reader:
    """A cursor over the text. `_closers` holds the bracket each open collection waits for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._closers: list[str] = []
        self._builder = TreeBuilder()
        self._first = False  # true right after an opening bracket: no comma is due

    def read(self) -> Tree:
        self._skip()
        self._value()
        while self._closers:
            self._skip()
            if self._peek() == self._closers[-1]:
                self._close()
                continue
            if not self._first:
                self._expect(",", f"A ',' or '{self._closers[-1]}' is missing here.")
                self._skip()
                if self._peek() == self._closers[-1]:
                    raise self._failure("A ',' before a closing bracket is not allowed. Delete it.")
            self._member()
        self._skip()
        if self._at < len(self._text):
            raise self._failure("The document has ended, and yet more text follows. Delete it.")
        return self._builder.tree

    def _member(self) -> None:
        if self._closers[-1] == "}":
            place = self._place()
            if self._peek() != '"':
                raise self._failure("A key in double quotes is expected here.")
            self._builder.key(self._string(), place)
            self._skip()
            self._expect(":", "A ':' is missing after this key.")
            self._skip()
        self._value()

    def _value(self) -> None:
        place, character = self._place(), self._peek()
        if character in ("{", "["):
            self._builder.open({} if character == "{" else [], place)
            self._closers.append("}" if character == "{" else "]")
            self._at += 1
            self._first = True
            return
        self._first = False
        if character == '"':
            self._builder.scalar(self._string(), place)
        elif character and character in "-0123456789":
            self._builder.scalar(self._number(), place)
        else:
            self._builder.scalar(self._literal(), place)

    def _close(self) -> None:
        self._closers.pop()
        self._builder.close()
        self._at += 1
        self._first = False

    def _string(self) -> str:
        try:
            value, self._at = scanstring(self._text, self._at + 1, True)  # noqa: FBT003 - positional in C
        except json.JSONDecodeError as error:
            self._at = min(error.pos, len(self._text))
            reason = "A quote that was opened is never closed." if "Untermin" in error.msg else _STRING_PROBLEM
            raise self._failure(reason) from error
        return str(value)

    def _number(self) -> int | float:
        match = _NUMBER.match(self._text, self._at)
        if not match:
            raise self._failure("This is not a number as JSON writes it.")
        if len(match.group()) > MAX_NUMBER_LENGTH:
            raise self._failure(
                f"This number has more than {MAX_NUMBER_LENGTH} characters. Shorten it, or put it in quotes."
            )
        value = float(match.group()) if match.group(1) or match.group(2) else int(match.group())
        if abs(value) == float("inf"):
            raise self._failure("This number is too large.")
        self._at = match.end()
        return value

    def _literal(self) -> bool | None:
        match = _WORD.match(self._text, self._at)
        if match and match.group() in _LITERALS:
            self._at = match.end()
            return _LITERALS[match.group()]
        if match:
            word = shown(match.group(), 40)
            raise self._failure(
                f"'{word}' is not a JSON value. Put text in double quotes; only true, false and null go without."
            )
        if self._at >= len(self._text):
            raise self._failure("The document ends before it is complete: a closing bracket or a value is missing.")
        raise self._failure("A value is expected here. Text stands in double quotes, and JSON has no comments.")

    def _expect(self, character: str, message: str) -> None:
        if self._peek() != character:
            raise self._failure(message)
        self._at += 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _place(self) -> Place:
        line = bisect_right(self._starts, self._at)
        return Place(line, self._at - self._starts[line - 1] + 1)

    def _failure(self, message: str) -> Unreadable:
        return Unreadable(f"This is not valid JSON: {message}", self._place())


_STRING_PROBLEM = "A character stands here that text in quotes may not hold; write a line break as \\n, '\\' as '\\\\'."
