"""Retry-After, read; and bounded retries with jitter that keep to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from controlplane.errors import OutsideError
from controlplane.repeating import call_repeatedly

Value = TypeVar("Value")

ATTEMPTS = 3
LONGEST_PAUSE_SECONDS = 5.0
LONGEST_RETRY_AFTER_SECONDS = 86_400.0


def read_retry_after(headers: Mapping[str, Any]) -> float | None:
    """Seconds, from either form of the header (RFC 9110 §10.2.3); None where absent or nonsense. At most a day."""
    found = [str(value) for name, value in headers.items() if name.lower() == "retry-after"]
    if not found:
        return None
    text = found[0].strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:10]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def call_with_pauses(call: Callable[[], Value], *, is_permanent: tuple[type[OutsideError], ...] = ()) -> Value:
    """Repeat a harmless call while the outside is away: three attempts, jitter, Retry-After kept where it is short.

    A longer Retry-After ends it at once: the error carries the wish to whoever schedules the next try.
    """

    def pause(error: Exception) -> bool | float:
        if not isinstance(error, OutsideError) or isinstance(error, is_permanent):
            return False
        wish = error.retry_after_seconds
        if wish is None:
            return True
        return wish if wish <= LONGEST_PAUSE_SECONDS else False

    return call_repeatedly(
        call, pause, attempts=ATTEMPTS, timeout=20, wait_initial=0.2, wait_max=LONGEST_PAUSE_SECONDS, wait_jitter=0.3
    )
