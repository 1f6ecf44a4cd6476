"""JSON without trust: bounded before it is parsed, no NaN, no key twice."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from action.evidence.limits import JSON_CONTAINERS, JSON_ELEMENTS, UnreadableReport
from action.evidence.source import decode
from action.evidence.wording import one_line


def load_json(data: bytes) -> Any:
    """The document, or UnreadableReport. Counting brackets first bounds the memory that parsing can take."""
    if data.count(b"[") + data.count(b"{") > JSON_CONTAINERS:
        raise UnreadableReport(f"the JSON has more than {JSON_CONTAINERS:,} lists and objects")
    if data.count(b",") > JSON_ELEMENTS:
        raise UnreadableReport(f"the JSON has more than {JSON_ELEMENTS:,} elements")
    return _parse(decode(data))


def load_json_lines(text: str) -> list[dict[str, Any]] | None:
    """Objects, one a line, as mypy prints them; None when the text is something else."""
    try:
        documents = [_parse(line) for line in text.splitlines() if line.strip()]
    except UnreadableReport:
        return None
    return documents if documents and all(isinstance(document, dict) for document in documents) else None


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UnreadableReport(
            f"the JSON is broken or cut off: {one_line(error.msg)}, line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise UnreadableReport("the JSON is nested too deeply") from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise UnreadableReport(f"the JSON holds a value that cannot be read: {one_line(str(error))}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise UnreadableReport("a key of the JSON is written twice, so that it says two things")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableReport(f"the JSON holds {name}, which is no figure")
