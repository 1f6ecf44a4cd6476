"""SIGINT and SIGTERM. A cancelled job gets SIGINT, SIGTERM after 7.5 seconds, and SIGKILL 2.5 seconds later.

Outside of `held` a signal ends the verb where it stands. Inside it is only noted, so that what was done can be put
where another runner finds it; the same signal once more is a person who will not wait, and ends it all the same.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from controlplane.errors import OutsideError


class Cancelled(OutsideError):
    """The run was cancelled."""

    default_code = "cancelled"


class Interruption:
    """One for each process; without `listen` no signal ever comes."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._is_held = False

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    @property
    def came(self) -> bool:
        return bool(self._seen)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The block asks `came` by itself, at least every second."""
        before = self._is_held
        try:
            self._is_held = True
            yield
        finally:
            self._is_held = before

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """A part of a held block that may be broken off anywhere: raises KeyboardInterrupt, also at its begin."""
        before = self._is_held
        try:
            # Inside, for a signal may come behind any statement, and what is held has to stay so.
            self._is_held = False
            if self.came:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_held = before

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        again = number in self._seen
        self._seen.add(number)
        if again or not self._is_held:
            raise KeyboardInterrupt
