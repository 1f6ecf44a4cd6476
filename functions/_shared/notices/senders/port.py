"""What notify asks of a way to send mail: Gmail's API is one (gmail/client.py), SMTP the other (smtp.py)."""

from __future__ import annotations

from typing import Protocol


class Sender(Protocol):
    """Sends in the name of one mailbox, whose address the mail's From is.

    Both raise `NotFound` (the thread is gone), `GivenUp`, or another `AicdError` that is worth a later try.
    """

    def find_sent(self, rfc_message_id: str, /) -> str | None:
        """What `send` answered for the mail with this Message-ID; None where it did not go out, or none can tell."""

    def send(self, mail: bytes, thread_id: str | None, /) -> str:
        """Send RFC 5322 bytes once, into the mailbox's thread of that id; the other side's word for the mail."""
