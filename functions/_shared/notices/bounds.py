"""Reading what the database describes: nothing in it is trusted to be short, of its kind, or free of controls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Control characters, lone surrogates, and what turns the direction of writing: a line must read as it is stored.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def text(value: Any, limit: int) -> str:
    """A bounded text without control characters; what is not text is shown as such."""
    if value is None:
        return ""
    return _CONTROL.sub(" ", str(value))[:limit]


def line(value: Any, limit: int) -> str:
    """A bounded text on one line."""
    return " ".join(text(value, 4 * limit).split())[:limit]


def items(value: Any, most: int = 50) -> Iterable[Mapping[str, Any]]:
    return [item for item in value[:most] if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def texts(value: Any, most: int = 10) -> list[str]:
    return [item for item in value[:most] if isinstance(item, str)] if isinstance(value, list | tuple) else []


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
