"""messages.send: what Gmail demands of an outgoing mail, beyond its schema.

Gmail forgives some of what is refused here (it would rewrite From, or start a new thread without a word). The double
refuses, because for the product each of these is a mistake.
"""

from __future__ import annotations

import secrets
from email.utils import format_datetime, localtime
from typing import Any

from local.doubles.exchange import RefusedCall
from local.doubles.google.headers import Headers, bare_subject, read_headers
from local.doubles.google.mta import Envelope, stamp
from local.doubles.google.nouns import Message
from local.doubles.google.state import MailState
from local.doubles.validation import decode_base64url

# mediaUpload.maxSize of users.messages.send in Gmail's discovery document.
MAX_BYTES = 36_700_160
# Fields that the server sets itself; everything else in the resource is output only.
ACCEPTED = frozenset({"raw", "threadId"})


def send_message(state: MailState, email: str, document: dict[str, Any]) -> tuple[Message, list[Message]]:
    """Stores the mail as sent; returns it and its copies in other mailboxes of this double."""
    raw = read_outgoing(document)
    headers = read_headers(raw)
    recipients = _check_people(headers, email)
    thread_id = document.get("threadId")
    if thread_id is not None:
        _check_thread(state, email, thread_id, headers)
    raw = _complete(raw, headers)
    labels = ("SENT", "INBOX", "UNREAD") if email in recipients else ("SENT",)
    with state.journal.transaction():
        sent = state.add(email, raw, labels, thread_id)
        local = [address for address in state.addresses() if address in recipients and address != email]
        copies = [state.add(to, stamp(raw, Envelope(recipient=to)), ("INBOX", "UNREAD")) for to in local]
    return sent, copies


def read_outgoing(document: dict[str, Any]) -> bytes:
    """The RFC 5322 bytes in `raw`. Raises RefusedCall."""
    if ignored := document.keys() - ACCEPTED:
        raise RefusedCall(400, f"messages.send ignores {', '.join(sorted(ignored))}; do not send it", mismatch=True)
    raw = decode_base64url(document.get("raw") or "")
    if not raw:
        raise RefusedCall(
            400, "'raw' RFC822 payload message string or uploading message via /upload/* URL required", mismatch=True
        )
    if len(raw) > MAX_BYTES:
        raise RefusedCall(413, f"The message has {len(raw)} bytes; at most {MAX_BYTES} may be sent.")
    return raw


def _check_people(headers: Headers, email: str) -> set[str]:
    recipients = set(headers.addresses("To", "Cc", "Bcc"))
    if not recipients:
        raise RefusedCall(400, "Recipient address required", mismatch=True)
    authors = headers.addresses("From")
    if authors != [email]:
        raise RefusedCall(
            400, f"From must be the one address {email}, else Gmail rewrites it; got {authors}", mismatch=True
        )
    return recipients


def _check_thread(state: MailState, email: str, thread_id: str, headers: Headers) -> None:
    thread = [message for message in state.messages(email) if message.thread_id == thread_id]
    if not thread:
        raise RefusedCall(404, "Requested entity was not found.")
    cited = {*headers.message_ids("References"), *headers.message_ids("In-Reply-To")}
    known = {message.rfc_message_id for message in thread}
    if not headers.first("In-Reply-To") or not headers.first("References") or not cited & known:
        raise RefusedCall(
            400, "threadId needs References and In-Reply-To that name a message of the thread", mismatch=True
        )
    if bare_subject(headers) not in {message.subject for message in thread}:
        raise RefusedCall(400, "threadId needs the Subject of the thread", mismatch=True)


def _complete(raw: bytes, headers: Headers) -> bytes:
    """Adds the Date and Message-ID that Gmail adds when they are missing."""
    added = b""
    if not headers.first("Date"):
        added += f"Date: {format_datetime(localtime())}\r\n".encode()
    if not headers.first("Message-ID"):
        added += f"Message-ID: <CA{secrets.token_urlsafe(40)}@mail.gmail.com>\r\n".encode()
    return added + raw
