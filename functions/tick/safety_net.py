"""The safety net: every task runs on its own, so that one that fails does not keep the others from their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from controlplane.errors import AicdError, BrokenPromise
from functions._shared.callers.proof import CallerProof
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer, describe_error
from functions._shared.intake.sync import Intake
from functions._shared.outbox.drain import Work, drain_outbox
from functions._shared.ports import TickStore
from functions._shared.retention.sweep import sweep
from functions.tick.mailboxes import MailboxCare

log = structlog.get_logger(__name__)

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
        care = MailboxCare(self.store, self.intake, self.settings.topic, self.settings.poll_after_seconds)
        return care.look_after_all(datetime.now(UTC), failures)


def _status(failures: list[AicdError]) -> int:
    return max((error.http_status if error.http_status >= 500 else 500 for error in failures), default=200)
