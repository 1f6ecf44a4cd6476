"""The mailboxes, each minute: watches renewed in time, mail found that no push told of, and trouble written down.

Each is looked after by itself, and its watch apart from its mail: a topic that Gmail may not publish to is a reason to
poll, never one to leave the mail where it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog

from controlplane.errors import AicdError
from functions._shared.gmail.errors import TOPIC_UNUSABLE, MailboxUnusable
from functions._shared.intake.sync import (
    Intake,
    MailboxResting,
    SyncReport,
    is_gmails,
    refuse_while_resting,
    sync_mailbox,
)
from functions._shared.ports import Row, TickStore

log = structlog.get_logger(__name__)

Value = TypeVar("Value")

# In one tick, which has other work, too. The next one begins with another mailbox.
MOST_SECONDS = 60.0
# A watch lives for seven days; renewed when less than six are left, it is renewed each day.
RENEW_BEFORE = timedelta(days=6)


@dataclass(frozen=True)
class MailboxCare:
    """`poll_after_seconds`: a mailbox that was silent for so long is asked."""

    store: TickStore
    intake: Intake
    topic: str
    poll_after_seconds: float

    def look_after_all(self, now: datetime, failures: list[AicdError]) -> dict[str, int]:
        """What was done, counted; what went wrong is added to `failures`. Raises what the database has to say."""
        counts = {"watches_renewed": 0, "polled": 0, "failed": 0, "resting": 0}
        ends_at = time.monotonic() + MOST_SECONDS
        mailboxes = _taking_turns(self.store.list_mailboxes(), now)
        for place, mailbox in enumerate(mailboxes):
            if place and time.monotonic() > ends_at:
                log.warning("mailboxes left to the next tick", left=len(mailboxes) - place)
                break
            with structlog.contextvars.bound_contextvars(mailbox_id=str(mailbox["mailbox_id"])):
                self._look_after(mailbox, now, counts, failures)
        return counts

    def _look_after(self, mailbox: Row, now: datetime, counts: dict[str, int], failures: list[AicdError]) -> None:
        try:
            refuse_while_resting(mailbox)
        except MailboxResting:
            counts["resting"] += 1
            return
        renewed, trouble = self._try(mailbox, lambda: self._renew(mailbox, now), failures)
        polled: SyncReport | None = None
        more = None
        # Credentials that open no watch open no mail either.
        if not isinstance(trouble, MailboxUnusable) or trouble.code == TOPIC_UNUSABLE:
            work = self._poll if renewed or mailbox.get("history_id") else self._begin
            polled, more = self._try(mailbox, lambda: work(mailbox, now), failures)
        counts["watches_renewed"] += bool(renewed)
        counts["polled"] += polled is not None
        counts["failed"] += bool(trouble or more)
        # While mail is left for a later pass, the mailbox goes on saying so.
        is_done = polled is not None and not polled.left
        if is_done and not trouble and (mailbox.get("last_error") or mailbox.get("retry_at")):
            self.store.heal_mailbox(str(mailbox["mailbox_id"]))

    def _try(
        self, mailbox: Row, work: Callable[[], Value], failures: list[AicdError]
    ) -> tuple[Value | None, AicdError | None]:
        """What was done, or why it failed. Gmail's trouble is kept with the mailbox."""
        try:
            return work(), None
        except MailboxResting:  # a push was told so, since the list was read
            return None, None
        except AicdError as error:
            failures.append(error)
            if is_gmails(error):
                wish = error.details.get("retry_after_seconds")
                self.store.fail_mailbox(str(mailbox["mailbox_id"]), error.message, error.fix, wish)
            return None, error

    def _renew(self, mailbox: Row, now: datetime) -> bool:
        expires_at = moment(mailbox.get("watch_expires_at"))
        if expires_at and expires_at - now > RENEW_BEFORE:
            return False
        watch = self.intake.gmail(str(mailbox["email"])).watch(self.topic)
        self.store.renew_mailbox(str(mailbox["mailbox_id"]), watch.history_id, watch.expires_at.isoformat())
        return True

    def _begin(self, mailbox: Row, _now: datetime) -> None:
        """A mailbox whose first watch failed begins now, as with the watch: what is old was not written to us."""
        newest = self.intake.gmail(str(mailbox["email"])).fetch_history_id()
        self.store.advance_mailbox(str(mailbox["mailbox_id"]), newest)

    def _poll(self, mailbox: Row, now: datetime) -> SyncReport | None:
        pushed_at = moment(mailbox.get("last_push_at"))
        is_fresh = pushed_at and (now - pushed_at).total_seconds() <= self.poll_after_seconds
        # A mailbox in trouble is asked each minute: pushes may have come, and nobody could read what they told of.
        if is_fresh and not mailbox.get("last_error") and not mailbox.get("retry_at"):
            return None
        return sync_mailbox(str(mailbox["email"]), self.intake)


def _taking_turns(mailboxes: Sequence[Row], now: datetime) -> Sequence[Row]:
    """Each minute another one comes first, so that those that take long keep none from its turn."""
    first = int(now.timestamp() // 60) % max(len(mailboxes), 1)
    return [*mailboxes[first:], *mailboxes[:first]]


def moment(value: Any) -> datetime | None:
    """A timestamp as PostgREST writes it; None where there is none."""
    if value is None or isinstance(value, datetime):
        return value
    read = datetime.fromisoformat(str(value))
    return read if read.tzinfo else read.replace(tzinfo=UTC)
