"""Liveness and readiness. What is told: each dependency's name and state. Never an address, a token or a message of
the dependency's own."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from controlplane.errors import AicdError, BrokenPromise, NotAllowed, NotAuthenticated, NotFound
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer, describe_error, refuse
from functions._shared.settings import Misconfigured

log = structlog.get_logger(__name__)

Check = Callable[[], object]

# Whoever asks for readiness gives up soon; a dependency that needs longer is not ready.
CHECK_SECONDS = 2.0
# Checks that hang keep their thread; past this many, the next ones wait in line and are too slow, as they should be.
MOST_THREADS = 4


class NotReady(AicdError):
    """A dependency does not answer as it should."""

    default_code = "not-ready"
    http_status = 503


@dataclass(frozen=True)
class Health:
    """`checks` builds the dependencies' checks by name; it may raise when the environment is incomplete."""

    checks: Callable[[], Mapping[str, Check]]

    def handle(self, call: Call) -> Answer:
        """Route by path; a trailing slash does not matter."""
        path = call.path.rstrip("/")
        if path in ("", "/health", "/health/live"):
            return Answer(data={"status": "live"})
        if path == "/health/ready":
            return self._ready()
        return refuse(NotFound("There is nothing here.", fix="Ask /health, /health/live or /health/ready."))

    def _ready(self) -> Answer:
        try:
            checks = self.checks()
        except Misconfigured as error:
            nothing: dict[str, object] = {"status": "not-ready", "dependencies": {}}
            return Answer(data=nothing, status=NotReady.http_status, errors=(describe_error(error),))
        states = {name: examine(name, check) for name, check in checks.items()}
        unready = [name for name, state in states.items() if state["state"] != "ready"]
        data = {"status": "not-ready" if unready else "ready", "dependencies": states}
        if not unready:
            return Answer(data=data)
        reason = NotReady(f"Not ready: {', '.join(unready)}.", fix="Look at this function's log for the reason.")
        return Answer(data=data, status=reason.http_status, errors=(describe_error(reason),))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="check")


def examine(name: str, check: Check) -> dict[str, object]:
    """One dependency's state and how long the question took."""
    begun = time.monotonic()
    state = "ready"
    try:
        _pool().submit(check).result(CHECK_SECONDS)
    except TimeoutError:
        state = "too-slow"
    except (NotAuthenticated, NotAllowed) as error:
        log.warning("dependency refuses us", dependency=name, code=error.code, reason=str(error))
        state = "refuses-our-token"
    except AicdError as error:
        log.warning("dependency not ready", dependency=name, code=error.code, reason=str(error))
        state = "broken" if isinstance(error, BrokenPromise) else "unreachable"
    return {"state": state, "milliseconds": round((time.monotonic() - begun) * 1_000)}
