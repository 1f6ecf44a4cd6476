"""The safety net: every task runs on its own, so that one that fails does not keep the others from their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from controlplane.errors import AicdError, BrokenPromise, OutsideError
from functions._shared.callers.proof import CallerProof
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer, describe_error
from functions._shared.intake.sync import Intake, sync_mailbox
from functions._shared.outbox.drain import Work, drain_outbox
from functions._shared.ports import Row, TickStore
from functions._shared.retention.sweep import sweep

log = structlog.get_logger(__name__)

# A watch lives for seven days; renewed when less than six are left, it is renewed each day.
RENEW_BEFORE = timedelta(days=6)
# Each is a CI run to be dispatched; the others wait for the next minute.
MOST_WOKEN = 100


@dataclass(frozen=True)
class TickSettings:
    """`poll_after_seconds`: a mailbox that was silent for so long is asked. `dead_after_seconds`: a run is closed."""

    topic: str
    poll_after_seconds: int
    dead_after_seconds: int


@dataclass(frozen=True)
class SafetyNet:
    """The wired function."""

    proof: CallerProof
    store: TickStore
    intake: Intake
    work: tuple[Work, ...]
    settings: TickSettings

    def handle(self, call: Call) -> Answer:
        """Run every task. The counts of those that worked are told also when another failed (503, or 500 for a bug)."""
        self.proof.verify(call)
        data: dict[str, Any] = {}
        failures: list[AicdError] = []
        for name, task in self._tasks().items():
            try:
                data[name] = task(failures)
            except AicdError as error:
                failures.append(error)
            except Exception:
                log.exception("tick task crashed", task=name)
                failures.append(BrokenPromise(f"The task {name} met a fault of ours."))
        for failure in failures:
            log.warning("tick task failed", code=failure.code, reason=str(failure))
        return Answer(data=data, status=_status(failures), errors=tuple(map(describe_error, failures)))

    def _tasks(self) -> Mapping[str, Callable[[list[AicdError]], Any]]:
        return {
            "mailboxes": self._look_after_mailboxes,
            "runs_closed": lambda _: self.store.close_dead_runs(self.settings.dead_after_seconds),
            # Before the outbox is drained, so that their work orders go out in the same minute.
            "sprints_woken": lambda _: len(self.store.wake_sprints(MOST_WOKEN)),
            **{work.kind: self._drain(work) for work in self.work},
            "expired": lambda _: sweep(self.store).as_json(),
        }

    def _drain(self, work: Work) -> Callable[[list[AicdError]], dict[str, int]]:
        return lambda _: drain_outbox(self.store, work).as_json()

    def _look_after_mailboxes(self, failures: list[AicdError]) -> dict[str, int]:
        counts = {"watches_renewed": 0, "polled": 0, "failed": 0}
        now = datetime.now(UTC)
        for mailbox in self.store.list_mailboxes():
            try:
                counts["watches_renewed"] += self._renew(mailbox, now)
                counts["polled"] += self._poll(mailbox, now)
            except OutsideError as error:
                counts["failed"] += 1
                failures.append(error)
        return counts

    def _renew(self, mailbox: Row, now: datetime) -> bool:
        expires_at = _moment(mailbox.get("watch_expires_at"))
        if expires_at and expires_at - now > RENEW_BEFORE:
            return False
        mailbox_id = str(mailbox["mailbox_id"])
        try:
            watch = self.intake.gmail(str(mailbox["email"])).watch(self.settings.topic)
        except AicdError as error:
            self.store.fail_mailbox(mailbox_id, error.message, error.fix)
            raise
        self.store.renew_mailbox(mailbox_id, watch.history_id, watch.expires_at.isoformat())
        return True

    def _poll(self, mailbox: Row, now: datetime) -> bool:
        pushed_at = _moment(mailbox.get("last_push_at"))
        if pushed_at and (now - pushed_at).total_seconds() <= self.settings.poll_after_seconds:
            return False
        return sync_mailbox(str(mailbox["email"]), self.intake) is not None


def _moment(value: Any) -> datetime | None:
    """A timestamp as PostgREST writes it; None where there is none."""
    if value is None or isinstance(value, datetime):
        return value
    moment = datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _status(failures: list[AicdError]) -> int:
    return max((error.http_status if error.http_status >= 500 else 500 for error in failures), default=200)
