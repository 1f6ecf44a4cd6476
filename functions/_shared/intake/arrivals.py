"""What arrived since our cursor: history where Gmail still has it, else the inbox itself.

The cursor of a push names the mailbox's new state, not where we stopped; only our own is used. A history record's id
may become the cursor once all messages up to it are dealt with; the newest id only after the last page.
Source: developers.google.com/workspace/gmail/api/guides/sync
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from controlplane.errors import NotFound, OutsideError
from functions._shared.gmail.port import Arrival, Mailbox

MOST_PAGES = 200
# Gmail keeps history for about a week, so a month covers any gap it can tell us of.
FULL_SYNC_SPAN = timedelta(days=30)
# A sent copy, a draft, spam or a deleted mail is in the history too, but nobody wrote it to us.
NOT_FOR_US = {"SENT": "own-mail", "DRAFT": "draft", "SPAM": "spam", "TRASH": "trash"}


@dataclass(frozen=True)
class Step:
    """One message to handle; afterwards the cursor may be set to `cursor`, where it is not None."""

    gmail_id: str
    cursor: str | None


@dataclass(frozen=True)
class Arrivals:
    """Messages oldest first, each once, and the cursor that holds when all of them are dealt with."""

    steps: tuple[Step, ...]
    cursor: str
    full_sync: bool


def fetch_arrivals(gmail: Mailbox, cursor: str, ours_since: datetime) -> Arrivals:
    """Read all pages before anything is handled. A cursor that Gmail has forgotten means a full sync: of a month, and
    of nothing from before the mailbox was ours."""
    try:
        return _read_history(gmail, cursor)
    except NotFound:
        return _sync_inbox(gmail, max(ours_since, datetime.now(UTC) - FULL_SYNC_SPAN))


def why_not_for_us(labels: frozenset[str]) -> str:
    """The reason to ignore a message, or nothing."""
    return next((reason for label, reason in NOT_FOR_US.items() if label in labels), "")


def _read_history(gmail: Mailbox, cursor: str) -> Arrivals:
    steps: dict[str, Step] = {}
    newest = cursor
    token: str | None = None
    for _ in _pages():
        page = gmail.list_history(cursor, token)
        for record in page.records:
            fresh = [new.gmail_id for new in record.added if _is_ours(new) and new.gmail_id not in steps]
            for gmail_id in fresh:
                steps[gmail_id] = Step(gmail_id, record.history_id if gmail_id == fresh[-1] else None)
        newest, token = page.history_id, page.next_page_token
        if not token:
            return Arrivals(_ending_at(newest, tuple(steps.values())), newest, full_sync=False)
    raise _endless()


def _ending_at(newest: str, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The last message carries the cursor all the way, which saves the request that would move it afterwards."""
    return (*steps[:-1], replace(steps[-1], cursor=newest)) if steps else ()


def _sync_inbox(gmail: Mailbox, since: datetime) -> Arrivals:
    newest = gmail.fetch_history_id()  # before the listing: what arrives in between is found again, never missed
    found: dict[str, Step] = {}
    token: str | None = None
    for _ in _pages():
        arrivals, token = gmail.list_inbox(since, token)
        found.update({new.gmail_id: Step(new.gmail_id, None) for new in arrivals if _is_ours(new)})
        if not token:
            return Arrivals(_ending_at(newest, tuple(reversed(found.values()))), newest, full_sync=True)
    raise _endless()


def _is_ours(arrival: Arrival) -> bool:
    return not why_not_for_us(arrival.labels)


def _pages() -> Iterator[int]:
    return iter(range(MOST_PAGES))


def _endless() -> OutsideError:
    return OutsideError(
        f"Gmail did not come to an end after {MOST_PAGES} pages.", fix="Try again.", code="gmail-endless-pages"
    )
