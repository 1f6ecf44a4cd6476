"""Figures as reports write them. What is not a plain figure is None, never a guess."""

from __future__ import annotations

import math

_DIGITS = 15


def parse_count(text: str | None) -> int | None:
    """A whole number from 0, in ASCII digits; None for anything else (NaN, -1, 1.5, 10^400 digits)."""
    if text is None:
        return None
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def parse_seconds(text: str | None) -> float | None:
    """Seconds from 0. Some writers group thousands by locale: `1,234.5`."""
    if not text or len(text) > 2 * _DIGITS:
        return None
    try:
        seconds = float(text.replace(",", "") if "." in text else text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def parse_rate(text: str) -> float | None:
    """A share from 0 to 1."""
    seconds = parse_seconds(text)
    return seconds if seconds is not None and seconds <= 1 else None


def plain_int(value: object) -> int | None:
    """A JSON number that is whole and not below 0; true and 1.0 are not."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_DIGITS else None


def plain_number(value: object) -> float | None:
    """A finite JSON number; true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
