"""Telling what an agent does while it does it: the newest sentence, at most one a second, never in its way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

BETWEEN_SECONDS = 1.0
# An hour of one sentence a second would be more than anybody reads, and rows in a database.
MOST_SENTENCES = 600


class Teller:
    """A context manager. `tell` is called from a thread of its own, since a slow database must not stop the reading."""

    def __init__(self, tell: Callable[[str], None], between_seconds: float = BETWEEN_SECONDS) -> None:
        self._tell = tell
        self._between = between_seconds
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
        self._pass_on()

    def _work(self) -> None:
        while not self._ends.wait(self._between):
            self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            sentence, self._newest = self._newest, ""
            if not sentence or sentence == self._last or self._left <= 0:
                return
            self._last, self._left = sentence, self._left - 1
        self._tell(sentence)
