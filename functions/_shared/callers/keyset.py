"""An issuer's public keys, remembered between requests and asked for anew as rarely as is safe.

The rules are those of PyPI's trusted publishing (warehouse, oidc/services.py): an unknown key id has the keys fetched
again, but at most once a minute, so that made-up key ids cost nothing; an empty answer never replaces what is known;
where fetching fails the old keys stay. On top of that, keys are fetched again after an hour, or one that the issuer
withdrew would be trusted for as long as the process lives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import structlog

from controlplane.errors import OutsideError

log = structlog.get_logger(__name__)

COOLDOWN_SECONDS = 60.0
# While no key is known, nobody at all is let in: one lost packet must not cost a minute.
FIRST_COOLDOWN_SECONDS = 2.0
STALE_SECONDS = 3_600.0

Key = TypeVar("Key")


class KeySet(Generic[Key]):
    """Finds keys by id. `fetch` gives all the issuer's keys or raises OutsideError; `clock` counts seconds. `whose`
    and `fix` tell, while no key is known, whose keys are away and what to look at."""

    def __init__(
        self,
        fetch: Callable[[], Mapping[str, Key]],
        *,
        whose: str,
        fix: str,
        code: str = "keys-unavailable",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._away = (f"{whose} signing keys cannot be fetched, so nobody's identity can be proven now.", fix, code)
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, Key] = {}
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    def find(self, kid: str) -> Key | None:
        """The key, None when the issuer has none of that id. Raises OutsideError while no key at all is known."""
        if kid not in self._keys:
            with self._lock:  # others that miss wait for the one who fetches, and look again
                if kid not in self._keys:
                    self._refresh()
        elif self._clock() - self._fetched_at >= STALE_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()
        if not self._keys:
            raise OutsideError(*self._away, details={"retry_after_seconds": self._cooldown_left()})
        return self._keys.get(kid)

    def _refresh(self) -> None:
        if self._cooldown_left() > 0:
            return
        try:
            keys = self._fetch()
        except OutsideError as error:
            log.warning("signing keys not fetched", reason=str(error), keys_known=len(self._keys))
            return
        finally:  # from its end on: those who waited for one that timed out must not try in turn, one after the other
            self._tried_at = self._clock()
        if not keys:
            log.warning("issuer published no usable key", keys_known=len(self._keys))
            return
        self._keys, self._fetched_at = dict(keys), self._clock()

    def _cooldown_left(self) -> float:
        if self._tried_at is None:
            return 0.0
        wait = COOLDOWN_SECONDS if self._keys else FIRST_COOLDOWN_SECONDS
        return max(0.0, wait - (self._clock() - self._tried_at))
