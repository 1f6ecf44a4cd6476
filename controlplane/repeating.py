"""Calling again what failed in passing. The library that does it is loaded at the first failure: what works at once
does not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from controlplane.errors import OutsideError

Value = TypeVar("Value")
# Whether to try again after this failure: no, after the usual wait, or after so many seconds.
Pause = Callable[[Exception], "bool | float"]


def call_repeatedly(call: Callable[[], Value], pause: Pause, **limits: Any) -> Value:
    """The call's answer, or the last failure. `limits` are those of stamina.retry_context, all tries counted."""
    try:
        return call()
    except OutsideError as error:
        if pause(error) is False:
            raise
        return _go_on(call, error, pause, limits)


def _go_on(call: Callable[[], Value], first: OutsideError, pause: Pause, limits: dict[str, Any]) -> Value:
    import stamina

    failed = [first]
    for attempt in stamina.retry_context(on=pause, **limits):
        with attempt:
            if failed:
                raise failed.pop()
            return call()
    raise AssertionError("a retry context ends with an answer or an error")
