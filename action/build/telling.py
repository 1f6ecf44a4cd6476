"""Telling what an agent does while it does it: the newest sentence, at its pace, never in its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from action.pace import Pace

# An hour of one sentence a second would be more than anybody reads, and rows in a database.
MOST_SENTENCES = 600


class Teller:
    """A context manager. `tell` is called from a thread of its own, since a slow database must not stop the reading.

    `pace` is shared with whoever else tells of the same agent.
    """

    def __init__(self, tell: Callable[[str], None], pace: Pace | None = None) -> None:
        self._tell = tell
        self._pace = pace or Pace()
        self._newest = ""
        self._last = ""
        self._left = MOST_SENTENCES
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, name="agent-teller", daemon=True)

    def hear(self, sentence: str) -> None:
        with self._lock:
            self._newest = sentence

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.set()
        self._thread.join(5)
        # The last word is worth the wait for its turn.
        if self._has_news() and not self._pass_on():
            time.sleep(self._pace.between_seconds)
            self._pass_on()

    def _work(self) -> None:
        while not self._ends.wait(self._pace.between_seconds):
            self._pass_on()

    def _has_news(self) -> bool:
        with self._lock:
            return self._newest not in ("", self._last) and self._left > 0

    def _pass_on(self) -> bool:
        """False where it was not our turn; the sentence waits for the next one then."""
        if not self._has_news():
            return True
        if not self._pace.take():
            return False
        with self._lock:
            sentence, self._newest = self._newest, ""
            self._last, self._left = sentence, self._left - 1
        self._tell(sentence)
        return True
