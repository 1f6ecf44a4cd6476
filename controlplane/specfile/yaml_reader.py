"""YAML 1.2 → `Tree`, from the event stream, so that nothing recurses and nothing is built beyond the bounds.

Only the core schema counts (YAML 1.2 §10.3): `yes`, `no`, `on` and dates stay text. Tags, anchors and aliases are
refused: a specification needs none, and they are how a small file becomes a huge one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner

from controlplane.spec_limits import MAX_NUMBER_LENGTH
from controlplane.specfile.tree import Place, Tree, TreeBuilder, Unreadable, shown

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
# A leading zero is kept as text: `007` is an identifier, whatever the schema says.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class _PlainScanner(Scanner):
    """Refuses tags, anchors and aliases where they begin: scanning a long tag alone takes quadratic time."""

    def fetch_tag(self) -> None:
        self._refuse("Text that begins with '!' must be written in quotes here; YAML tags are not used.")

    def fetch_anchor(self) -> None:
        self._refuse("Text that begins with '&' must be written in quotes here; YAML anchors are not used.")

    def fetch_alias(self) -> None:
        self._refuse("Text that begins with '*' must be written in quotes here; YAML aliases are not used.")

    def _refuse(self, message: str) -> None:
        raise Unreadable(message, _place(self.reader.get_mark()))


def read_yaml(text: str, lines: Sequence[int] | None = None) -> Tree:
    """The one document of `text`. Raises `Unreadable`; an empty document has `data` None.

    `lines[i]` is the line of the file that the text's line i was taken from; None means the text is the file.
    """
    try:
        tree = _read(text)
    except Unreadable as error:
        raise error.moved(lines) from error
    return tree if lines is None else tree.moved(lines)


def _read(text: str) -> Tree:
    parser = YAML(typ="safe", pure=True)
    parser.Scanner = _PlainScanner
    builder = TreeBuilder()
    try:
        documents = 0
        for event in parser.parse(text):
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable(
                        "A second document begins here ('---'). Send each specification as a file of its own.",
                        _place(event.start_mark),
                    )
            _feed(builder, event)
    except Unreadable:
        raise
    except ReaderError as error:
        raise _unprintable(error, text) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(_explain(str(error.problem or error.context or "")), mark and _place(mark)) from error
    except (YAMLError, ValueError, RecursionError, IndexError, AttributeError, TypeError, AssertionError) as error:
        raise Unreadable("This is not valid YAML. Check indentation, colons and quotes.") from error
    return builder.tree


def _feed(builder: TreeBuilder, event: Any) -> None:
    if isinstance(event, ScalarEvent):
        place = _place(event.start_mark)
        if builder.wants_key():
            builder.key(event.value, place)
        else:
            builder.scalar(_resolve(event.value, place) if event.implicit[0] else event.value, place)
    elif isinstance(event, MappingStartEvent | SequenceStartEvent):
        place = _place(event.start_mark)
        if builder.wants_key():
            raise Unreadable("A key must be plain text. Put text that begins with '{' or '[' in quotes.", place)
        builder.open({} if isinstance(event, MappingStartEvent) else [], place)
    elif isinstance(event, MappingEndEvent | SequenceEndEvent):
        builder.close()


def _resolve(text: str, place: Place) -> Any:
    """A plain scalar's value by the core schema."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _NOT_FINITE.fullmatch(text):
        raise Unreadable(f"'{text}' is not a number we can use. Write a finite number, or put it in quotes.", place)
    if len(text) > MAX_NUMBER_LENGTH:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        number = float(text)
        return number if abs(number) != float("inf") else text
    return text


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _unprintable(error: ReaderError, text: str) -> Unreadable:
    position = error.position if isinstance(error.position, int) else 0
    before = text[:position]
    place = Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
    return Unreadable("An invisible control character stands here. Delete it, or save the file as UTF-8 text.", place)


# What ruamel.yaml says → what a person can do about it. The first match counts.
_EXPLANATIONS = (
    ("'\\t'", "A tab stands here. YAML wants spaces: replace each tab by two spaces."),
    ("mapping values are not allowed", "A second ':' stands in this line. Put the text after the first ':' in quotes."),
    ("expected <block end>", "The indentation changes here. Bring this line level with its neighbours above."),
    ("could not find expected ':'", "A ':' is missing after this key."),
    ("unexpected end of stream", "A quote that was opened is never closed."),
    ("expected ',' or", "A ',' or a closing bracket is missing here."),
    ("expected the node content", "A value is missing here, or a bracket is not closed."),
)


def _explain(problem: str) -> str:
    for sign, sentence in _EXPLANATIONS:
        if sign in problem:
            return f"This is not valid YAML: {sentence}"
    return f"This is not valid YAML: {shown(problem, 120)}. Text with special characters must stand in quotes."
