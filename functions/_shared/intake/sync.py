"""One mailbox brought up to date: everything that arrived since the cursor is dealt with, then the cursor moves.

A mail that cannot be fetched or judged now holds the cursor back but not the mails after it, behind which it is tried
from the next pass on. Gmail and the database repeat themselves freely; unique ids in the database make that harmless.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import takewhile

import structlog

from controlplane.errors import AicdError, CallerError, OutsideError
from functions._shared.gmail.errors import MailboxUnusable
from functions._shared.gmail.port import Mailbox
from functions._shared.intake.arrivals import Arrivals, Step, fetch_arrivals
from functions._shared.intake.envelope import Envelope
from functions._shared.intake.fetching import UNFETCHABLE, Fetcher
from functions._shared.intake.reading import MailboxProof, MailHeldBack, Reader
from functions._shared.ports import IntakeStore, Row

log = structlog.get_logger(__name__)

# Gmail lets a user have 6,000 units in a minute, and a mail costs 20. Two passes in a minute leave a third of it to
# watching, listing and sending.
MOST_FETCHES = 100
REST_SECONDS = 30.0
# One mail may wait for its sender's DNS. The function has 180 seconds, and tick has other mailboxes, too.
MOST_SECONDS = 45.0
# As many ids as known_messages takes.
ASKED_AT_ONCE = 500
# In one pass. Each has waited for the DNS; the others are tried in the next one.
MOST_HELD_BACK = 10


class MailboxResting(OutsideError):
    """Google wants to be left alone with this mailbox; tick asks it when the time has come."""

    default_code = "gmail-resting"


@dataclass(frozen=True)
class Intake:
    """What intake works with. `reader` is given the mailbox's address, so that its own mail is known as such.
    `plans_letters` is what holds for projects whose policy does not say whether plain letters are planned."""

    store: IntakeStore
    gmail: Callable[[str], Mailbox]
    reader: Callable[..., Reader]
    plans_letters: bool = True

    def for_mailbox(self, mailbox: Row) -> Intake:
        """Where a mailbox says itself how its senders are proven, with a reader that does so."""
        proof = MailboxProof(mailbox.get("authserv_id"), mailbox.get("verify_dkim"))
        if proof == MailboxProof():
            return self
        return replace(self, reader=functools.partial(self.reader, proof=proof))


@dataclass
class SyncReport:
    """What was done, for the log and for tick's answer. `left` mails are still to be fetched, in a later pass."""

    full_sync: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    left: int = 0


def sync_mailbox(email: str, intake: Intake) -> SyncReport | None:
    """Bring one mailbox up to date; None when it is not ours.

    One that has no cursor yet is left to tick, which begins it: a first watch publishes before its cursor is stored,
    and what lies in the inbox by then was not written to us.
    Raises `OutsideError` when something must be tried again, what `needs_operator` when he must act first, and
    `MailboxResting` while Google wants to be left alone with it. The last two are known with the mailbox.
    """
    mailbox = intake.store.open_mailbox(email)
    if mailbox is None:
        return None
    if mailbox.get("history_id") is None:
        return SyncReport()
    refuse_while_resting(mailbox)
    try:
        return _Sync(intake.for_mailbox(mailbox), mailbox).run()
    except AicdError as error:
        # Without a wish of Google's, what passes is told to whoever schedules the next try, and not kept.
        wish = error.details.get("retry_after_seconds")
        if needs_operator(error) or (is_gmails(error) and wish):
            intake.store.fail_mailbox(str(mailbox["mailbox_id"]), error.message, error.fix, wish)
        raise


def is_gmails(error: AicdError) -> bool:
    """Whether it tells of the mailbox, and not of our database."""
    return error.code.startswith("gmail-") or isinstance(error, MailboxUnusable)


def needs_operator(error: AicdError) -> bool:
    """Whether it tells of the mailbox and no repetition can heal it: Gmail refuses us, or what we ask for."""
    return is_gmails(error) and isinstance(error, MailboxUnusable | CallerError)


def refuse_while_resting(mailbox: Row) -> None:
    """Raises `MailboxResting` until the moment that Google asked us to wait for."""
    until = mailbox.get("retry_at")
    if until is None:
        return
    left = (datetime.fromisoformat(str(until)) - datetime.now(UTC)).total_seconds()
    if left > 0:
        raise MailboxResting(
            f"Google asked not to be asked for this mailbox for another {left:.0f} seconds.",
            fix="Wait: tick asks it then.",
            details={"retry_after_seconds": left},
        )


class _Sync:
    """One pass over one mailbox."""

    def __init__(self, intake: Intake, mailbox: Row) -> None:
        self._store = intake.store
        self._plans_letters = intake.plans_letters
        self._mailbox_id = str(mailbox["mailbox_id"])
        self._email = str(mailbox["email"])
        self._cursor = str(mailbox["history_id"])
        self._ours_since = datetime.fromisoformat(str(mailbox["created_at"]))
        self._gmail = intake.gmail(self._email)
        self._fetcher = Fetcher(self._gmail, intake.store, self._mailbox_id, self._ours_since)
        self._open_reader = intake.reader
        self._senders = _patterns(mailbox)
        # The cursor that the last mail's own transaction has moved to.
        self._reached: str | None = None
        self._report = SyncReport()

    @cached_property
    def _reader(self) -> Reader:
        """Opened with the first mail: many a push brings none, and what reads mail takes long to import."""
        return self._open_reader(self._email)

    def run(self) -> SyncReport:
        arrivals = fetch_arrivals(self._gmail, self._cursor, self._ours_since)
        self._report.full_sync = arrivals.full_sync
        todo = self._choose(arrivals.steps)
        report, left = self._report, todo[self._handle_some(todo) :]
        report.left = len(left)
        if left:
            self._rest()
        if self._fetcher.failures:
            raise self._fetcher.failures[0]
        self._move_cursor(_cursor_before(left, arrivals) if left else arrivals.cursor)
        log.info("mailbox synced", full_sync=report.full_sync, outcomes=dict(report.outcomes), left=report.left)
        return report

    def _handle_some(self, todo: Sequence[Step]) -> int:
        """How many were dealt with: one at least, and then what quota and time allow."""
        ends_at = time.monotonic() + MOST_SECONDS
        for place, step in enumerate(todo[:MOST_FETCHES], start=1):
            self._handle(step)
            if time.monotonic() > ends_at:
                return place
        return len(todo[:MOST_FETCHES])

    def _choose(self, steps: Sequence[Step]) -> list[Step]:
        """What is still to be done: the new, oldest first, and then what is held back. One mail alone is fetched
        unasked: it is new, as a known one has moved the cursor past itself, and the question would cost every mail a
        request."""
        if len(steps) < 2:
            return list(steps)
        ids = [step.gmail_id for step in steps]
        pages = [ids[start : start + ASKED_AT_ONCE] for start in range(0, len(ids), ASKED_AT_ONCE)]
        told = [self._store.known_messages(self._mailbox_id, page) for page in pages]
        known = {gmail_id for page in told for gmail_id in page["known"]}
        held = [gmail_id for page in told for gmail_id in page["held"] if gmail_id not in known]
        self._report.outcomes["known"] += len(known)
        return _held_last([step for step in steps if step.gmail_id not in known], held)

    def _move_cursor(self, cursor: str | None) -> None:
        if cursor not in (None, self._cursor, self._reached):
            self._store.advance_mailbox(self._mailbox_id, str(cursor))

    def _rest(self) -> None:
        """What was taken in is known by its rows, so the next pass goes on behind it."""
        self._store.fail_mailbox(
            self._mailbox_id,
            f"So much mail came at once that it is taken in by and by: {self._report.left} are still to come.",
            "Wait: tick goes on each minute, as fast as Gmail's quota for one mailbox allows.",
            REST_SECONDS,
        )

    def _handle(self, step: Step) -> None:
        cursor = None if self._fetcher.failures else step.cursor  # never past a mail that is still to come
        mail = self._fetcher.fetch(step.gmail_id, cursor)
        if isinstance(mail, str):
            self._report.outcomes[mail] += 1
            self._reached = (mail == UNFETCHABLE and cursor) or self._reached
            return
        # What judges mail takes long to import, and many a push brings none.
        from functions._shared.intake.take_in import take_in

        envelope = Envelope(self._mailbox_id, mail, cursor)
        with structlog.contextvars.bound_contextvars(correlation_id=envelope.correlation_id):
            try:
                outcome = take_in(
                    envelope,
                    self._senders,
                    self._reader,
                    self._store,
                    self._reread_senders,
                    plans_letters=self._plans_letters,
                )
            except MailHeldBack as error:
                self._hold_back(step, error)
                return
            self._report.outcomes[outcome] += 1
        self._reached = cursor or self._reached

    def _hold_back(self, step: Step, error: MailHeldBack) -> None:
        self._store.hold_message(self._mailbox_id, step.gmail_id)
        self._fetcher.failures.append(error)
        log.warning("mail held back", gmail_id=step.gmail_id, code=error.code)
        if sum(isinstance(one, MailHeldBack) for one in self._fetcher.failures) >= MOST_HELD_BACK:
            raise error

    def _reread_senders(self) -> tuple[str, ...] | None:
        self._senders = _patterns(self._store.open_mailbox(self._email) or {"senders": []})
        return self._senders


def _patterns(mailbox: Row) -> tuple[str, ...] | None:
    senders = mailbox.get("senders")
    return None if senders is None else tuple(senders)


def _held_last(steps: Sequence[Step], held: Sequence[str]) -> list[Step]:
    """The same steps, those that are held back last and in that order. Nothing behind the first of them may move the
    cursor by itself, which would move past it."""
    waiting = dict.fromkeys(held)
    moving = list(takewhile(lambda step: step.gmail_id not in waiting, steps))
    others = {step.gmail_id: replace(step, cursor=None) for step in steps[len(moving) :]}
    last = [others.pop(gmail_id) for gmail_id in waiting]
    return [*moving, *others.values(), *last]


def _cursor_before(left: Sequence[Step], arrivals: Arrivals) -> str | None:
    """How far the cursor may move when all but these mails are dealt with."""
    ids = {step.gmail_id for step in left}
    done = list(takewhile(lambda step: step.gmail_id not in ids, arrivals.steps))
    return next((one.cursor for one in reversed(done) if one.cursor), None)
