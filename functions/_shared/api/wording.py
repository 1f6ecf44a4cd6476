"""What a model's complaint about a field or a parameter means to a caller: what is wrong, and what is allowed there.

Keyed by pydantic's error types: https://docs.pydantic.dev/latest/errors/validation_errors/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from controlplane.specfile.ranges import range_of
from controlplane.specfile.wording import closest

_PATTERNS = {
    "^[0-9a-f]{64}$": "Give 64 hexadecimal digits in lower case.",
    r"^[^\x00-\x1f\x7f]*$": "Leave line breaks and other control characters out.",
    r"\S": "Write at least one word.",
}


def explain_field(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What failed and its fix; never what was sent."""
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return explain_unknown("field", name, model.model_fields)
    if error["type"] in ("int_type", "int_parsing", "int_from_float", "greater_than_equal", "less_than_equal"):
        return f"This is no number that is allowed here. Fix: Give a whole number{range_of(model, name)}."
    known = model.model_fields.get(name)
    what, fix = _sentence(error)
    if known is not None and (not fix or error["type"] == "missing"):
        fix = f"{fix} {known.description or ''}".strip()
    return f"{what} Fix: {fix or 'GET /openapi.json says what is allowed here.'}"


def explain_unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A field or parameter that is not known, with those that are."""
    names = list(known)
    meant = closest(name, names)
    hint = f"Did you mean '{meant}'? " if meant else ""
    return f"There is no such {kind} here. Fix: {hint}Known are: {', '.join(names)}."


def _sentence(error: ErrorDetails) -> tuple[str, str]:
    """What is wrong, and the fix, empty where the field's own description says it best."""
    if error["type"].startswith("datetime") or error["type"] == "value_error":
        return "This is no date with a time.", "Write it as 2026-11-21T08:00:00Z."
    explain = _SENTENCES.get(error["type"])
    return explain(error.get("ctx") or {}) if explain else (f"{error['msg']}.".replace("..", "."), "")


def _one_of(context: dict[str, Any]) -> tuple[str, str]:
    return "This is none of the words that are allowed here.", f"Give one of {context['expected']}."


def _pattern(context: dict[str, Any]) -> tuple[str, str]:
    return "This is not written as it has to be.", _PATTERNS.get(str(context["pattern"]), "")


_SENTENCES: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "missing": lambda _: ("This field is missing.", "Add it."),
    "string_type": lambda _: ("This is no text.", "Give a text in quotes."),
    "bool_type": lambda _: ("This is neither true nor false.", "Give true or false, without quotes."),
    "model_type": lambda _: ("The body is no JSON object.", "Send one object with the fields of this request."),
    "string_too_short": lambda _: ("This is empty.", "Write a text, or leave the field out."),
    "string_too_long": lambda c: ("This is too long.", f"Give at most {c['max_length']:,} characters."),
    "string_pattern_mismatch": _pattern,
    "literal_error": _one_of,
}
