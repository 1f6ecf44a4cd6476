"""How people are told, for the functions that do it (notify and tick): the settings, and the work made of them.

`AICD_MAIL_SENDER` is `gmail` or `smtp`; where it is not set, an AICD_SMTP_URL means SMTP. Mail is read by Gmail in any
case, so a deployment may take in by the one and answer by the other. Which channels are told: slack/hooks.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions._shared.bucket import Bucket, read_bucket
from functions._shared.notices.senders.smtp_server import SmtpServer, read_smtp_server
from functions._shared.outbox.drain import Lease, Work
from functions._shared.settings import Environment, GoogleSettings
from functions._shared.slack.hooks import SlackHooks, read_slack_hooks
from functions._shared.wiring import NOTICE_DOMAIN, open_mailboxes

if TYPE_CHECKING:
    from functions._shared.notices.senders.port import Sender
    from functions._shared.outbox.notifying import Sending
    from functions._shared.ports import NotifyStore, Row


@dataclass(frozen=True)
class TellingSettings:
    """`sender`: who sends the mail. The other fields are those of `Sending`."""

    sender: GoogleSettings | SmtpServer
    domain: str
    bucket: Bucket | None
    slack: SlackHooks

    @classmethod
    def read(cls, environment: Environment, google: GoogleSettings | None = None) -> TellingSettings:
        """`google`: what the function has read already for other reasons."""
        return cls(
            sender=_read_sender(environment, google),
            domain=environment.text("AICD_NOTICE_DOMAIN", NOTICE_DOMAIN),
            bucket=read_bucket(environment),
            slack=read_slack_hooks(environment),
        )


def open_notify_work(store: NotifyStore, settings: TellingSettings) -> Work:
    """The work of kind `notify`, for both functions that do it. Call `environment.check()` before.

    What composes and sends is loaded with the first row: most calls find none.
    """

    @functools.cache
    def opened() -> Sending:
        from functions._shared.outbox.notifying import Sending

        return Sending(_open_senders(settings.sender), settings.domain, settings.bucket, settings.slack)

    def carry_out(row: Row, lease: Lease) -> dict[str, Any]:
        from functions._shared.outbox.notifying import send_notice

        return send_notice(row, lease, store, opened())

    return Work(kind="notify", carry_out=carry_out)


def _read_sender(environment: Environment, google: GoogleSettings | None) -> GoogleSettings | SmtpServer:
    usual = "smtp" if environment.optional("AICD_SMTP_URL") else "gmail"
    chosen = environment.text("AICD_MAIL_SENDER", usual).lower()
    if chosen == "smtp":
        return read_smtp_server(environment)
    if chosen != "gmail":
        environment.refuse("AICD_MAIL_SENDER is neither gmail nor smtp")
    return google or GoogleSettings.read(environment)


def _open_senders(sender: GoogleSettings | SmtpServer) -> Callable[[str], Sender]:
    """The sender of each mailbox. smtplib is loaded where it is used only."""
    if isinstance(sender, GoogleSettings):
        return open_mailboxes(sender)
    from functions._shared.notices.senders.smtp import SmtpSender

    server = sender
    return lambda mailbox: SmtpSender(server, mailbox)
