"""What a model's complaint means to somebody who does not program, with the likely correction.

Keyed by pydantic's error types: https://docs.pydantic.dev/latest/errors/validation_errors/
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from pydantic_core import ErrorDetails

from controlplane.specfile.ranges import Range
from controlplane.specfile.tree import Path, shown

_YES_NO = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}
_LONGEST_COMPARED = 40


def describe(error: ErrorDetails, path: Path, numbers: Range) -> str:
    """One sentence or two; `path` is where the value stands in the document, `numbers` are those it takes."""
    name = _name(path)
    if error["type"] in ("float_type", "int_type"):
        return _number(name, error["input"], numbers, "a whole number" if error["type"] == "int_type" else "a number")
    explain = _SENTENCES.get(error["type"])
    if explain is None:
        return f"{name}: {error['msg']}."
    return explain(name, error["input"], error.get("ctx") or {})


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that somebody probably meant, empty if none is near. Case and `-`/`_` do not count."""
    if len(word) > _LONGEST_COMPARED:
        return ""
    folded = {_fold(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=0.7)
    return folded[matches[0]] if matches else ""


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")


def _name(path: Path) -> str:
    """The nearest key, and the item's number counted as people count."""
    keys = [step for step in path if isinstance(step, str)]
    name = f"'{shown(keys[-1])}'" if keys else "The document"
    return f"{name}, item {path[-1] + 1}," if path and isinstance(path[-1], int) else name


def _missing(name: str, _value: Any, _context: dict[str, Any]) -> str:
    return f"{name} is missing here. It is needed."


def _text(name: str, value: Any, _context: dict[str, Any]) -> str:
    if isinstance(value, dict):
        return f"{name} should be text. A ':' followed by a space makes it a key: put the whole line in quotes."
    if isinstance(value, list):
        return f"{name} should be one text, not a list."
    if value is None:
        return f"{name} is empty. Write a text."
    return f'{name} should be text. Put it in quotes: "{_written(value)}".'


def _list(name: str, _value: Any, _context: dict[str, Any]) -> str:
    return f"{name} should be a list. Begin each entry on a line of its own with '- '."


def _section(name: str, value: Any, _context: dict[str, Any]) -> str:
    if isinstance(value, list):
        return f"{name} should be a group of 'key: value' lines, not a list. Take away the leading '- '."
    return f"{name} should be a group of 'key: value' lines."


def _flag(name: str, value: Any, _context: dict[str, Any]) -> str:
    return f"{name} should be true or false{_did_you_mean(_as_flag(value))}"


def _number(name: str, value: Any, numbers: Range, kind: str) -> str:
    meant = _as_number(value, numbers) if isinstance(value, str) else None
    if meant is None:
        return f"{name} should be {kind}{numbers}."
    # Only a figure that would be read if it stood there bare is in quotes.
    bare = ", without quotes" if _parsed(str(value)) is not None else ""
    return f"{name} should be {kind}. Did you mean {meant:g}{bare}?"


def _at_most(name: str, value: Any, context: dict[str, Any]) -> str:
    limit = context["le"]
    if limit == 1:
        hint = _did_you_mean(f"{value / 100:g}" if 1 < value <= 100 else "")
        return f"{name} should be between 0 and 1; {_written(value)} is too large{hint}"
    return f"{name} should be at most {limit:g}; {_written(value)} is too large."


def _at_least(name: str, value: Any, context: dict[str, Any]) -> str:
    return f"{name} should be at least {context['ge']:g}; {_written(value)} is too small."


def _above(name: str, value: Any, context: dict[str, Any]) -> str:
    return f"{name} should be greater than {context['gt']:g}; {_written(value)} is not."


def _one_of(name: str, value: Any, context: dict[str, Any]) -> str:
    expected = str(context["expected"])
    words = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
    return f"{name} should be one of {expected}{_did_you_mean(closest(str(value), words))}"


def _pattern(name: str, value: Any, context: dict[str, Any]) -> str:
    if not str(value).strip():
        return f"{name} is empty. Write a text."
    if context.get("pattern") == "^(none|required)$":
        return f"{name} should be 'none' or 'required'{_did_you_mean(closest(str(value), ['none', 'required']))}"
    return f"{name} may hold only letters, digits, '-', '_' and '.', at most 64 of them."


def _too_short(name: str, _value: Any, _context: dict[str, Any]) -> str:
    return f"{name} is empty. Write a text."


def _too_long(name: str, _value: Any, context: dict[str, Any]) -> str:
    return f"{name} is longer than {context['max_length']:,} characters. Shorten it."


def _too_many(name: str, _value: Any, context: dict[str, Any]) -> str:
    return f"{name} has more than {context['max_length']:,} entries. Split the specification."


def _checked(name: str, value: Any, context: dict[str, Any]) -> str:
    """Our own checks raise half a sentence that follows the field's name."""
    return f"{name} ('{shown(str(value))}') {context['error']}"


def _finite(name: str, _value: Any, _context: dict[str, Any]) -> str:
    return f"{name} should be a finite number."


def _as_flag(value: Any) -> str:
    text = str(value).strip().casefold()
    return text if text in ("true", "false") else _YES_NO.get(text, "")


def _as_number(value: str, numbers: Range) -> float | None:
    """The number that was probably meant: 90 and 90% of a share are 0.9. None where no guess would be taken."""
    found = _parsed(value.strip().removesuffix("%").replace(",", "."))
    if found is not None and numbers.most == 1 and 1 < found <= 100:
        found /= 100
    elif found is not None and numbers.most == 1 and "%" in value:
        return None
    return found if found is not None and found in numbers else None


def _parsed(text: str) -> float | None:
    try:
        return float(text) if len(text) <= 20 and math.isfinite(float(text)) else None
    except ValueError:
        return None


def _did_you_mean(word: str) -> str:
    """The end of a sentence: a question if there is a guess, else a full stop."""
    return f"; did you mean {word}?" if word else "."


def _written(value: Any) -> str:
    return shown(value if isinstance(value, str) else json.dumps(value, default=str))


_SENTENCES: dict[str, Callable[[str, Any, dict[str, Any]], str]] = {
    "missing": _missing,
    "string_type": _text,
    "list_type": _list,
    "tuple_type": _list,
    "dict_type": _section,
    "model_type": _section,
    "bool_type": _flag,
    "less_than_equal": _at_most,
    "greater_than_equal": _at_least,
    "greater_than": _above,
    "literal_error": _one_of,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_many,
    "value_error": _checked,
    "finite_number": _finite,
}
