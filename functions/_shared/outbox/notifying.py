"""A notify row carried out: the mail composed, and sent once in the requester's thread; or a channel told.

The database names the recipient: the proven sender of an allow-listed mail, or nobody. The Message-ID is made of the
outbox row's id, so that a second attempt can see whether the first one's mail went out, where the sender can look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controlplane.errors import NotFound
from functions._shared.bucket import Bucket
from functions._shared.notices.bounds import mapping
from functions._shared.notices.compose import compose_mail
from functions._shared.notices.headers import may_join_thread
from functions._shared.notices.links import sign_links
from functions._shared.notices.notice import Notice, read_notice
from functions._shared.notices.senders.port import Sender
from functions._shared.outbox.drain import Lease
from functions._shared.ports import NotifyStore, Row
from functions._shared.slack.hooks import SlackHooks
from functions._shared.slack.tell import CHANNEL, find_hook, tell_channel

NOTHING: dict[str, Any] = {"outcome": "nothing-to-send"}


@dataclass(frozen=True)
class Sending:
    """`open_sender` gives a mailbox's own. `domain` is the right side of our Message-IDs; it need not exist, but must
    never change. `bucket` signs links to artifacts that are not in Storage."""

    open_sender: Callable[[str], Sender]
    domain: str
    bucket: Bucket | None = None
    slack: SlackHooks = field(default_factory=SlackHooks)


def send_notice(row: Row, lease: Lease, store: NotifyStore, sending: Sending) -> dict[str, Any]:
    """One row, told by mail or in the channel that it is for. Raises whatever must be tried again."""
    outbox_id = str(row["id"])
    try:
        description = store.describe_notice(outbox_id)
    except NotFound:
        return NOTHING
    if mapping(row.get("payload")).get("channel") == CHANNEL:
        return tell_channel(outbox_id, description, lease, sending.slack)
    # Before the mail, so that the channel hears of it whatever becomes of the mail; and by a row of its own, so that no
    # failure there repeats the mail.
    if find_hook(description, sending.slack) is not None:
        store.copy_notice(outbox_id, CHANNEL)
    notice = read_notice(outbox_id, description)
    return NOTHING if notice is None else _send_mail(row, notice, lease, store, sending)


def _send_mail(row: Row, notice: Notice, lease: Lease, store: NotifyStore, sending: Sending) -> dict[str, Any]:
    sender = sending.open_sender(notice.mailbox)
    mail = compose_mail(notice, sign_links(notice, store, sending.bucket), sending.domain)
    if int(row["attempts"]) > 1:
        # By SMTP nothing is ever found: there the mail goes out once more, with the Message-ID that it had.
        sent = sender.find_sent(str(mail["Message-ID"]))
        if sent:
            return {"outcome": "already-sent", "sent_id": sent}
    lease.require()
    return {"outcome": "sent", "sent_id": _send(sender, bytes(mail), notice), "template": notice.template}


def _send(sender: Sender, mail: bytes, notice: Notice) -> str:
    if not may_join_thread(notice):
        return sender.send(mail, None)
    try:
        return sender.send(mail, notice.thread_id)
    except NotFound:  # the thread was deleted from our side; the requester still has his
        return sender.send(mail, None)
