"""A mail as one mailbox holds it, and the ids that follow from where it lies. Light: a push that brings no mail loads
this and nothing that reads mail."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane import ids
from functions._shared.gmail.port import RawMail

if TYPE_CHECKING:
    from controlplane.message import Message


@dataclass(frozen=True)
class Envelope:
    """Where a mail was found. `cursor` is the mailbox's cursor once this mail is dealt with, where that is known."""

    mailbox_id: str
    mail: RawMail
    cursor: str | None

    @property
    def message_id(self) -> str:
        return ids.message_id(self.mailbox_id, self.mail.gmail_id)

    @property
    def correlation_id(self) -> str:
        return ids.correlation_id(self.mailbox_id, self.mail.gmail_id)

    def spec_origin(self, message: Message) -> str:
        """What a specification's id is made of beside its bytes. The same mail met under a second Gmail id (a copy, a
        restored mailbox) has the same one, so it stores no second object."""
        if not message.rfc_message_id:
            return self.message_id
        return json.dumps([self.mailbox_id, message.sender.lower(), message.rfc_message_id])
