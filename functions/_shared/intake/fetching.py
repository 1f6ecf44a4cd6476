"""A mail fetched: handed over, gone, held back, or given up.

One that Gmail cannot hand over is held back: it may be there the next time. One that it can never hand over would hold
its mailbox's cursor, and every push, for ever. So it is given up when it has failed again and again for an hour while
Gmail handed over others: without those, it is Gmail that is away, and no mail is lost by that.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from controlplane import ids
from controlplane.errors import AicdError, NotFound, OutsideError
from functions._shared.gmail.errors import MailboxUnusable, MailRefused, is_quota
from functions._shared.gmail.port import Mailbox, RawMail
from functions._shared.ports import IntakeStore, Row

log = structlog.get_logger(__name__)

# Past this many in one pass, Gmail as a whole is away and asking on only makes it worse.
MOST_FAILURES = 3
# Counted once a minute at most.
TRIES = 5
HOPELESS_SECONDS = 3_600
# An inbox without a second mail proves nothing of Gmail, however often it is asked.
ALONE_SECONDS = 86_400
WITNESSES = 5

GONE, HELD, UNFETCHABLE = "gone", "held", "unfetchable"
FIX = (
    "Look for it in Gmail (All Mail, by its date) and forward it to the mailbox, or have its sender send it again. "
    "Whatever came after it was taken in."
)


class Fetcher:
    """Fetches the mails of one pass over one mailbox. `failures` are those of the mails that are held back."""

    def __init__(self, gmail: Mailbox, store: IntakeStore, mailbox_id: str, ours_since: datetime) -> None:
        self._gmail = gmail
        self._store = store
        self._mailbox_id = mailbox_id
        self._ours_since = ours_since
        self._has_fetched = False
        self.failures: list[OutsideError] = []

    def fetch(self, gmail_id: str, cursor: str | None) -> RawMail | str:
        """The mail, or the word for what became of it. `cursor` goes with one that is given up, as with any other.

        Raises `MailboxUnusable`, and `OutsideError` where going on would only make it worse.
        """
        try:
            mail = self._gmail.fetch_raw(gmail_id)
        except NotFound:
            return GONE
        except MailRefused as error:
            return self._give_up(gmail_id, cursor, error)
        except OutsideError as error:
            if isinstance(error, MailboxUnusable) or is_quota(error):
                raise
            return self._hold_or_give_up(gmail_id, cursor, error)
        self._has_fetched = True
        return mail

    def _hold_or_give_up(self, gmail_id: str, cursor: str | None, error: OutsideError) -> str:
        if self._is_hopeless(gmail_id):
            return self._give_up(gmail_id, cursor, error)
        self.failures.append(error)
        log.warning("mail not fetched", gmail_id=gmail_id, code=error.code)
        if len(self.failures) >= MOST_FAILURES:
            raise error
        return HELD

    def _is_hopeless(self, gmail_id: str) -> bool:
        noted = self._store.note_fetch_failure(self._mailbox_id, gmail_id)
        if noted["failures"] < TRIES or noted["seconds"] < HOPELESS_SECONDS:
            return False
        return self._has_fetched or self._has_witness(gmail_id, noted)

    def _has_witness(self, gmail_id: str, noted: Row) -> bool:
        """Whether Gmail hands over another mail of this inbox."""
        try:
            arrivals, _ = self._gmail.list_inbox(self._ours_since)
        except AicdError:
            return False
        others = [one.gmail_id for one in arrivals if one.gmail_id != gmail_id][:WITNESSES]
        if not others:
            return bool(noted["seconds"] >= ALONE_SECONDS)
        return any(map(self._is_handed_over, others))

    def _is_handed_over(self, gmail_id: str) -> bool:
        try:
            self._gmail.fetch_raw(gmail_id)
        except AicdError:
            return False
        return True

    def _give_up(self, gmail_id: str, cursor: str | None, error: AicdError) -> str:
        message = {
            "id": ids.message_id(self._mailbox_id, gmail_id),
            "mailbox_id": self._mailbox_id,
            "gmail_id": gmail_id,
            "correlation_id": ids.correlation_id(self._mailbox_id, gmail_id),
            **({"history_id": cursor} if cursor else {}),
        }
        log.error("mail given up", gmail_id=gmail_id, code=error.code, reason=error.message)
        said = f"Gmail does not hand over the mail {gmail_id}; it was left out. Its last word: {error.message}"
        self._store.give_up_message(message, said, FIX)
        return UNFETCHABLE
