"""The run's token as the store asks for it before every request: in memory only, and renewed before it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pydantic import SecretStr

from action.identity.exchange import RunTokenAnswer
from controlplane.errors import OutsideError

# A token lives fifteen minutes; an artifact of 100 MB on a slow line needs less than five.
RENEW_BEFORE_SECONDS = 300.0
LONGEST_LIFE_SECONDS = 900.0
# A renewal that failed is not tried at every request, and a clock that is wrong does not exchange at every request.
PAUSE_SECONDS = 30.0


class RunToken:
    """A TokenSource (controlplane.store). `clock` is monotonic; `wall` is only compared with what the server says."""

    def __init__(
        self,
        exchange: Callable[[], RunTokenAnswer],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._held: RunTokenAnswer | None = None
        self._ends_at = 0.0
        self._tried_at = 0.0

    def __call__(self) -> SecretStr:
        """The newest token. Raises what the exchange raises; a failed renewal only once the old token is over."""
        with self._lock:
            if self._held is None or self._is_due():
                self._renew()
            assert self._held is not None
            return self._held.token

    @property
    def scope(self) -> str:
        """build, publish or both; empty before the first exchange."""
        return self._held.scope if self._held else ""

    def _is_due(self) -> bool:
        now = self._clock()
        return now >= self._ends_at or (
            now >= self._ends_at - RENEW_BEFORE_SECONDS and now - self._tried_at >= PAUSE_SECONDS
        )

    def _renew(self) -> None:
        self._tried_at = self._clock()
        try:
            given = self._exchange()
        except OutsideError:
            if self._held is None or self._clock() >= self._ends_at:
                raise
            return
        # Never longer than we know it to live: this machine's clock may be behind.
        left = min(given.expires_at.timestamp() - self._wall(), LONGEST_LIFE_SECONDS)
        self._held, self._ends_at = given, self._clock() + max(left, PAUSE_SECONDS)
