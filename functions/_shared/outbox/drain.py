"""Claim, carry out, mark: the same for every kind of work.

Rows are claimed one by one, so that a lease is never spent waiting behind another row's slow upstream. A worker that
was slow on its way does not begin the effect any more: by the time it ended, the row might be somebody else's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from controlplane.errors import AicdError, BrokenPromise, CallerError, OutsideError
from functions._shared.ports import OutboxStore, Row

log = structlog.get_logger(__name__)

LEASE_SECONDS = 120
# What is left of the lease then is more than a send or a dispatch takes, time limits and a token's renewal included.
BEGIN_WITHIN_SECONDS = 30.0
DRAIN_SECONDS = 40.0
MOST_ROWS = 100


@dataclass(frozen=True)
class Lease:
    """How long a row is surely ours. `begin_by` is on `clock`."""

    begin_by: float
    clock: Callable[[], float] = time.monotonic

    def require(self) -> None:
        """To be called right before the effect. Raises `OutsideError` when too little time is left to finish it."""
        if self.clock() > self.begin_by:
            raise OutsideError(
                "Preparing this row took so long that another worker may soon have it.",
                fix="Look for what was slow; the row is tried again.",
                code="lease-nearly-over",
            )


class NotYet(Exception):
    """A row whose time has not come: nothing was attempted, and no attempt is counted."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason


class GivenUp(CallerError):
    """Trying again would change nothing; the row is a dead letter at once, for its operator to look at."""

    default_code = "given-up"


@dataclass(frozen=True)
class Work:
    """One kind, and how a row of it is carried out; the result is kept with the row. After eight failures the
    database gives a row up and tells whom it concerns; after a `GivenUp` at once. Raising `NotYet` puts the row off."""

    kind: str
    carry_out: Callable[[Row, Lease], dict[str, Any]]


@dataclass
class DrainReport:
    """Rows by what became of them: finished, retried, postponed, dead, lost (the lease went to somebody else)."""

    counts: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, int]:
        return {name: self.counts[name] for name in ("claimed", "finished", "retried", "postponed", "dead", "lost")}


def drain_outbox(store: OutboxStore, work: Work, *, clock: Callable[[], float] = time.monotonic) -> DrainReport:
    """Work off what is due, until nothing is left or the time is up; tick or the next webhook takes the rest."""
    report = DrainReport()
    ends_at = clock() + DRAIN_SECONDS
    while report.counts["claimed"] < MOST_ROWS and clock() < ends_at:
        lease = Lease(clock() + BEGIN_WITHIN_SECONDS, clock)  # before the claim, whose answer may be slow, too
        rows = store.claim_outbox([work.kind], 1, LEASE_SECONDS)
        if not rows:
            break
        report.counts["claimed"] += 1
        [row] = rows
        with structlog.contextvars.bound_contextvars(correlation_id=str(row.get("correlation_id") or row["id"])):
            report.counts[_work_off(store, work, row, lease)] += 1
    return report


def _work_off(store: OutboxStore, work: Work, row: Row, lease: Lease) -> str:
    try:
        result = work.carry_out(row, lease)
    except NotYet as wait:
        return _postpone(store, work, row, wait)
    except AicdError as error:
        return _retry(store, work, row, error)
    except Exception:
        log.exception("outbox row crashed", outbox_id=row["id"], kind=work.kind)
        return _retry(store, work, row, BrokenPromise("Carrying this row out met a fault of ours."))
    kept = store.finish_outbox(str(row["id"]), str(row["lease_id"]), result)
    log.info("outbox row finished", outbox_id=row["id"], kind=work.kind, lease_kept=kept, result=result)
    return "finished" if kept else "lost"


def _postpone(store: OutboxStore, work: Work, row: Row, wait: NotYet) -> str:
    kept = store.postpone_outbox(str(row["id"]), str(row["lease_id"]), wait.seconds, wait.reason[:1_000])["postponed"]
    log.info("outbox row postponed", outbox_id=row["id"], kind=work.kind, seconds=wait.seconds, reason=wait.reason)
    return "postponed" if kept else "lost"


def _retry(store: OutboxStore, work: Work, row: Row, error: AicdError) -> str:
    taken, told = (str(row["id"]), str(row["lease_id"])), f"{error.code}: {error}"[:1_000]
    wish = error.retry_after_seconds if isinstance(error, OutsideError) else None
    hopeless = isinstance(error, GivenUp)
    answer = store.bury_outbox(*taken, told) if hopeless else store.retry_outbox(*taken, told, wish)
    dead = bool(answer.get("dead"))
    log.warning("outbox row failed", outbox_id=row["id"], kind=work.kind, code=error.code, reason=str(error), dead=dead)
    return "dead" if dead else "lost" if hopeless else "retried"
