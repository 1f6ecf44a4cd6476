"""How often something may happen, for all who do it together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """One turn in each `between_seconds`, whoever takes it; from any thread."""

    def __init__(self, between_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.between_seconds = between_seconds
        self._clock = clock
        self._taken_at: float | None = None
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether it is somebody's turn; then it was his who asked."""
        with self._lock:
            now = self._clock()
            if self._taken_at is not None and now - self._taken_at < self.between_seconds:
                return False
            self._taken_at = now
            return True
