"""The headers of a reply that stays in its thread, and that no sender's text can break out of.

A reply needs the Message-ID it answers in In-Reply-To and References and the same subject (RFC 5322 §3.6.4), and says
that a machine wrote it, so that no other machine answers (RFC 3834 §5).
"""

from __future__ import annotations

import re
from email.message import EmailMessage

from controlplane.message import MADE_ID_DOMAIN
from functions._shared.notices.notice import Notice

MOST_SUBJECT_CHARACTERS = 200
MOST_REFERENCES = 20
_MESSAGE_ID = re.compile(r"<[^\s<>@]{1,250}@[^\s<>@]{1,250}>", re.ASCII)
_REPLY_PREFIX = re.compile(r"^\s*(re|aw|sv|antw)\s*:", re.IGNORECASE)


def set_headers(mail: EmailMessage, notice: Notice, domain: str) -> None:
    """Everything but the content. The Message-ID is the same for every attempt to send this notice."""
    mail["From"] = notice.mailbox
    mail["To"] = notice.recipient
    mail["Subject"] = reply_subject(notice.subject)
    mail["Message-ID"] = f"<{notice.outbox_id}@{domain}>"
    answered = answered_id(notice)
    if answered:
        mail["In-Reply-To"] = answered
        mail["References"] = " ".join(thread_of(notice.references, answered))
    mail["Auto-Submitted"] = "auto-replied"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Aicd-Notice"] = notice.outbox_id


def answered_id(notice: Notice) -> str:
    """The Message-ID that the requester's mail really had; empty where it had none, or none that a header can hold."""
    found = _MESSAGE_ID.findall(notice.rfc_message_id)[:1]
    return found[0] if found and not found[0].endswith(f"@{MADE_ID_DOMAIN}>") else ""


def may_join_thread(notice: Notice) -> bool:
    """Gmail takes a reply into a thread only with matching References and Subject (Gmail API, Message.threadId)."""
    return bool(notice.thread_id and notice.subject.strip() and answered_id(notice))


def reply_subject(subject: str) -> str:
    """The subject with one `Re:`, on one line."""
    line = " ".join(subject.split())[:MOST_SUBJECT_CHARACTERS]
    return line if _REPLY_PREFIX.match(line) else f"Re: {line or 'your specification'}"


def thread_of(references: str, answered: str) -> list[str]:
    """The thread so far with the answered mail last; the root is kept when the middle must go."""
    known = [found for found in _MESSAGE_ID.findall(references) if found != answered]
    return [*known[:1], *known[1:][-(MOST_REFERENCES - 2) :], answered]
