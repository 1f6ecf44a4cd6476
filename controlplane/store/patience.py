"""How often a call is repeated: bounded, with jitter, and as Retry-After asks. Every verb is safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from controlplane.errors import OutsideError
from controlplane.repeating import call_repeatedly

Answer = TypeVar("Answer")

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 3.0
# Whoever is asked to wait longer tells his own caller, who can come back: a function is paid for while it sleeps.
LONGEST_RETRY_AFTER_SECONDS = 10.0


def patiently(call: Callable[[], Answer]) -> Answer:
    """The call's answer, after at most four tries; the last OutsideError when none got through."""
    return call_repeatedly(
        call,
        _wait_for,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=FIRST_WAIT_SECONDS,
        wait_max=LONGEST_WAIT_SECONDS,
        wait_jitter=FIRST_WAIT_SECONDS,
    )


def _wait_for(error: Exception) -> bool | float:
    if not isinstance(error, OutsideError):
        return False
    asked = error.retry_after_seconds
    if asked is None:
        return True
    return asked if asked <= LONGEST_RETRY_AFTER_SECONDS else False
