"""The mailboxes: every message, its thread and its history, kept in the double's folder.

Bytes are written before the record that names them, so a killed process leaves at worst a file nobody refers to.
"""

from __future__ import annotations

import secrets
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from local.doubles.google.headers import Headers, bare_subject, read_headers
from local.doubles.google.nouns import HistoryKind, HistoryRecord, Mailbox, Message
from local.doubles.journal import Journal

FIRST_HISTORY_ID = 1_000_000
DAY_MS = 86_400_000


class MailState:
    """All mailboxes of the double. Every method that changes something is atomic."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self.journal = journal
        self._folder = folder / "mail"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._mailboxes = journal.collection("mailboxes", Mailbox)
        self._messages = journal.collection("messages", Message)
        self._history = journal.collection("history", HistoryRecord)
        self._records: dict[str, list[HistoryRecord]] = defaultdict(list)
        for record in self._history.values():
            self._records[record.mailbox].append(record)
        self._by_rfc_id: dict[tuple[str, str], list[str]] = defaultdict(list)
        for message in self._messages.values():
            self._by_rfc_id[message.mailbox, message.rfc_message_id].append(message.id)
        self.clock_offset_ms = 0

    def now_ms(self) -> int:
        """The double's own clock, in epoch milliseconds; a test may move it forward."""
        return time.time_ns() // 1_000_000 + self.clock_offset_ms

    def addresses(self) -> list[str]:
        return [mailbox.address for mailbox in self._mailboxes.values()]

    def open(self, address: str) -> Mailbox:
        """The mailbox, made at first use."""
        key = address.lower()
        with self.journal.transaction():
            found = self._mailboxes.get(key)
            first = FIRST_HISTORY_ID + secrets.randbelow(1000)
            return found or self._mailboxes.put(key, Mailbox(address=key, history_id=first, oldest_history_id=first))

    def change_mailbox(self, address: str, **changes: object) -> Mailbox:
        with self.journal.transaction():
            mailbox = self.open(address).model_copy(update=changes)
            return self._mailboxes.put(mailbox.address, mailbox)

    def messages(self, address: str) -> list[Message]:
        """The mailbox's messages, newest first, deleted ones left out."""
        found = [m for m in self._messages.values() if m.mailbox == address.lower() and not m.deleted]
        return sorted(found, key=lambda message: (message.internal_date_ms, message.history_id), reverse=True)

    def message(self, address: str, message_id: str) -> Message | None:
        found = self._messages.get(message_id)
        return found if found and found.mailbox == address.lower() and not found.deleted else None

    def raw(self, message_id: str) -> bytes:
        return (self._folder / f"{message_id}.eml").read_bytes()

    def add(self, address: str, raw: bytes, labels: Iterable[str], thread_id: str | None = None) -> Message:
        """Stores a message and its history; without a thread it joins the one that it answers, or starts one."""
        headers = read_headers(raw)
        rfc_ids = headers.message_ids("Message-ID")
        with self.journal.transaction():
            message_id = self._new_id()
            self._write(message_id, raw)
            message = Message(
                id=message_id,
                thread_id=thread_id or self._thread_of(address, headers) or message_id,
                mailbox=self.open(address).address,
                label_ids=tuple(labels),
                internal_date_ms=self.now_ms(),
                history_id=self._next_history_id(address),
                size=len(raw),
                rfc_message_id=rfc_ids[0] if rfc_ids else "",
                subject=bare_subject(headers),
            )
            self._messages.put(message.id, message)
            self._note("messagesAdded", message, message.label_ids)
            self._by_rfc_id[message.mailbox, message.rfc_message_id].append(message.id)
        return message

    def relabel(self, message: Message, add: Iterable[str], remove: Iterable[str]) -> Message:
        added = [label for label in add if label not in message.label_ids]
        removed = [label for label in remove if label in message.label_ids]
        with self.journal.transaction():
            for kind, labels in (("labelsAdded", added), ("labelsRemoved", removed)):
                if labels:
                    kept = [label for label in message.label_ids if label not in removed]
                    changed = tuple(dict.fromkeys([*kept, *added]))
                    history_id = self._next_history_id(message.mailbox)
                    message = message.model_copy(update={"label_ids": changed, "history_id": history_id})
                    self._messages.put(message.id, message)
                    self._note("labelsAdded" if kind == "labelsAdded" else "labelsRemoved", message, tuple(labels))
        return message

    def delete(self, message: Message) -> None:
        with self.journal.transaction():
            history_id = self._next_history_id(message.mailbox)
            gone = self._messages.put(
                message.id, message.model_copy(update={"deleted": True, "history_id": history_id})
            )
            self._note("messagesDeleted", gone, gone.label_ids)

    def history_after(self, address: str, history_id: int) -> list[tuple[HistoryRecord, Message]]:
        """Records newer than the id, oldest first, each with its message as it is now."""
        with self.journal.lock:
            records = self._records[address.lower()]
            start = bisect_right(records, history_id, key=lambda record: record.id)
            found = [(record, self._messages.get(record.message_id)) for record in records[start:]]
        return [(record, message) for record, message in found if message is not None]

    def answered(self, address: str, rfc_ids: Iterable[str]) -> list[Message]:
        """The messages of this mailbox that carry one of these Message-IDs."""
        ids = [found for rfc_id in rfc_ids for found in self._by_rfc_id.get((address.lower(), rfc_id), [])]
        return [message for found in ids if (message := self.message(address, found)) is not None]

    def _thread_of(self, address: str, headers: Headers) -> str | None:
        cited = [*headers.message_ids("In-Reply-To"), *reversed(headers.message_ids("References"))]
        subject = bare_subject(headers)
        return next((m.thread_id for m in self.answered(address, cited) if m.subject == subject), None)

    def _new_id(self) -> str:
        """Like Gmail's: sixteen hexadecimal digits that grow with time."""
        stamp = (self.now_ms() << 20) | secrets.randbelow(1 << 20)
        message_id = f"{stamp:016x}"
        return message_id if self._messages.get(message_id) is None else self._new_id()

    def _next_history_id(self, address: str) -> int:
        """Grows with random gaps, as Gmail's does."""
        mailbox = self.open(address)
        next_id = mailbox.history_id + 1 + secrets.randbelow(40)
        self._mailboxes.put(mailbox.address, mailbox.model_copy(update={"history_id": next_id}))
        return next_id

    def _note(self, kind: HistoryKind, message: Message, labels: tuple[str, ...]) -> None:
        record = HistoryRecord(
            id=message.history_id, mailbox=message.mailbox, kind=kind, message_id=message.id, label_ids=labels
        )
        self._history.put(f"{message.mailbox}/{record.id}", record)
        self._records[message.mailbox].append(record)

    def _write(self, message_id: str, raw: bytes) -> None:
        fresh = self._folder / f"{message_id}.new"
        fresh.write_bytes(raw)
        fresh.replace(self._folder / f"{message_id}.eml")
