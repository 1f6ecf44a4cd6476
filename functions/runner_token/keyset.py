"""The issuer's public keys, remembered between requests and asked for anew as rarely as is safe.

The rules are those of PyPI's trusted publishing (warehouse, oidc/services.py): an unknown key id has the keys fetched
again, but at most once a minute, so that made-up key ids cost nothing; an empty answer never replaces what is known;
where fetching fails the old keys stay. On top of that, keys are fetched again after an hour, or one that the issuer
withdrew would be trusted for as long as the process lives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from controlplane.errors import OutsideError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = structlog.get_logger(__name__)

COOLDOWN_SECONDS = 60.0
STALE_SECONDS = 3_600.0

Keys = Mapping[str, "RSAPublicKey"]


class KeySet:
    """Finds keys by id. `fetch` gives all the issuer's keys or raises OutsideError; `clock` counts seconds."""

    def __init__(self, fetch: Callable[[], Keys], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    def find(self, kid: str) -> RSAPublicKey | None:
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
            raise OutsideError(
                "GitHub's signing keys cannot be fetched, so no identity can be proven now.",
                fix="Try again in a minute; if it stays, check GITHUB_OIDC_ISSUER and the function's way out.",
                code="keys-unavailable",
                details={"retry_after_seconds": self._cooldown_left()},
            )
        return self._keys.get(kid)

    def _refresh(self) -> None:
        if self._cooldown_left() > 0:
            return
        self._tried_at = self._clock()
        try:
            keys = self._fetch()
        except OutsideError as error:
            log.warning("signing keys not fetched", reason=str(error), keys_known=len(self._keys))
            return
        if not keys:
            log.warning("issuer published no usable key", keys_known=len(self._keys))
            return
        self._keys, self._fetched_at = dict(keys), self._clock()

    def _cooldown_left(self) -> float:
        if self._tried_at is None:
            return 0.0
        return max(0.0, COOLDOWN_SECONDS - (self._clock() - self._tried_at))
