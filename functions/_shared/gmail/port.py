"""What the rest of the house may ask of a mailbox, and the values it gets back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Arrival:
    """A message that history or a listing names. `labels` is empty where Gmail did not say them."""

    gmail_id: str
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True)
class HistoryRecord:
    """One step of the mailbox's history; its id is a valid start for the next listing."""

    history_id: str
    added: tuple[Arrival, ...]


@dataclass(frozen=True)
class HistoryPage:
    """`history_id` is the mailbox's newest id; it may become our cursor only after the last page."""

    records: tuple[HistoryRecord, ...]
    history_id: str
    next_page_token: str | None


@dataclass(frozen=True)
class RawMail:
    """One message as it was received, RFC 5322 bytes."""

    gmail_id: str
    thread_id: str
    labels: frozenset[str]
    raw: bytes
    # When Gmail took it in; the sender's Date is his own.
    received_at: datetime | None = None


@dataclass(frozen=True)
class Watch:
    """A running watch: Gmail publishes to our topic until it expires."""

    history_id: str
    expires_at: datetime


class Mailbox(Protocol):
    """All methods raise `NotFound`, `MailboxUnusable` or `OutsideError`, never the Google library's own errors."""

    def list_history(self, start_history_id: str, page_token: str | None = None) -> HistoryPage: ...

    def list_inbox(self, since: datetime, page_token: str | None = None) -> tuple[tuple[Arrival, ...], str | None]: ...

    def fetch_history_id(self) -> str: ...

    def fetch_raw(self, gmail_id: str) -> RawMail: ...

    def find_sent(self, rfc_message_id: str) -> str | None: ...

    def send(self, mail: bytes, thread_id: str | None) -> str: ...

    def watch(self, topic: str) -> Watch: ...
