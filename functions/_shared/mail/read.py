"""One mail, from raw bytes to `Message`: is it for us, who proved to have written it, and what does it ask for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from controlplane.message import MADE_ID_DOMAIN, Message
from functions._shared.mail.authentication import NO_INFORMATION, Sender, judge_sender
from functions._shared.mail.content import Content, read_content
from functions._shared.mail.headers import Headers, TooLarge
from functions._shared.mail.letter import Occasion
from functions._shared.mail.limits import MAX_MAIL_BYTES
from functions._shared.mail.loops import find_loop
from functions._shared.mail.parts import read_parts
from functions._shared.mail.words import clean_line, decode_words

_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_MOST_REFERENCES = 50
_SUBJECT_LENGTH = 300
_SAYS_REPLY = re.compile(
    r"\s*(?:Re|Fwd?|AW|WG|SV|VS|Antw|Betr|Doorst|TR|RV|ENC|RES|Rif|R|I|Odp|PD|Vá|YNT|Re\[\d+\])\s*(?:\(\d+\))?:",
    re.IGNORECASE,
)


def read_message(
    raw: bytes,
    *,
    trusted_authserv_id: str = "mx.google.com",
    own_addresses: frozenset[str] = frozenset(),
    prove_signature: Callable[[bytes, Headers, str], str] | None = None,
    notice_domain: str = "",
) -> Message:
    """Never raises: a mail that cannot be read is a refused one, with the reason `unreadable` or `too-large`.

    `prove_signature` is asked (raw mail, headers, From domain) where the server says nothing of DMARC; it answers `ok`
    or the reason why not. `notice_domain` is the right side of our own Message-IDs. Costs at most two seconds and
    300 MB, whatever the bytes are.
    """
    if len(raw) > MAX_MAIL_BYTES:
        return _read_head(raw, trusted_authserv_id, own_addresses, notice_domain)
    if not raw.strip():
        return _refused("unreadable", "The mail is empty.")
    try:
        return _read(raw, trusted_authserv_id, own_addresses, prove_signature, notice_domain)
    except TooLarge as error:
        return _refused("too-large", str(error))
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError, AssertionError, OverflowError):
        # Whatever slips through is one hostile mail; it must neither stop its mailbox nor be taken in.
        return _refused("unreadable", "The mail's structure cannot be understood.")


def _read_head(raw: bytes, trusted: str, own_addresses: frozenset[str], notice_domain: str) -> Message:
    """Of a mail that is too large only the headers count: a known sender is owed the reason why it was not read.

    Its own signature cannot prove it, since that covers the body, which is not read.
    """
    problem = f"The mail has {len(raw):,} bytes; at most {MAX_MAIL_BYTES:,} are read."
    end = _END_OF_HEADERS.search(raw, 0, MAX_MAIL_BYTES)
    if end is None:
        return _refused("too-large", problem)
    head = read_message(
        raw[: end.end()], trusted_authserv_id=trusted, own_addresses=own_addresses, notice_domain=notice_domain
    )
    if not head.accepted:
        return _refused("too-large" if head.reason == "unreadable" else head.reason, problem)
    return head.model_copy(update={"specs": (), "body_text": "", "problems": (problem,)})


def _read(
    raw: bytes,
    trusted: str,
    own_addresses: frozenset[str],
    prove_signature: Callable[[bytes, Headers, str], str] | None,
    notice_domain: str,
) -> Message:
    headers, parts, broken = read_parts(raw)
    if not headers.fields:
        return _refused("unreadable", "The mail has no headers.")
    loop = find_loop(headers, own_addresses, notice_domain)
    sender = judge_sender(headers, trusted)
    if prove_signature and sender.reason in NO_INFORMATION and not loop:
        reason = prove_signature(raw, headers, sender.address.rpartition("@")[2])
        sender = Sender(sender.address, accepted=reason == "ok", reason=reason)
    subject = decode_words(headers.first("subject"))
    message_id, notes = _message_id(headers, raw)
    references, answered = _ids(headers, "references"), _ids(headers, "in-reply-to")
    is_reply = bool(references or answered or _SAYS_REPLY.match(subject))
    is_proven = sender.accepted and not loop
    content: Content = read_content(parts, Occasion(subject, is_reply, is_proven))
    return Message(
        sender=_sendable(sender.address),
        accepted=is_proven,
        reason=loop or sender.reason,
        rfc_message_id=message_id,
        thread=(references or answered or [message_id])[0],
        subject=subject[:_SUBJECT_LENGTH],
        references=" ".join(references),
        body_text=content.body_text,
        specs=content.specs,
        problems=(*broken[:1], *content.problems),
        notes=notes,
        left_out=content.left_out,
        unread=content.unread,
    )


def _refused(reason: str, problem: str) -> Message:
    return Message(sender="", accepted=False, reason=reason, problems=(problem,))


def _message_id(headers: Headers, raw: bytes) -> tuple[str, tuple[str, ...]]:
    """Its own, or one that is always the same for the same bytes."""
    own = _ids(headers, "message-id")
    if own:
        return own[0], ()
    digest = hashlib.sha256(raw).hexdigest()
    return f"<{digest}@{MADE_ID_DOMAIN}>", ("The mail has no Message-ID; one was made from its content.",)


def _ids(headers: Headers, name: str) -> list[str]:
    found = _MESSAGE_ID.findall(headers.first(name))
    if len(found) > _MOST_REFERENCES:
        found = [found[0], *found[-(_MOST_REFERENCES - 1) :]]
    return [clean_line(one) for one in found]


def _sendable(address: str) -> str:
    """A claimed address is shown and stored, so it is one bounded line whatever the header held."""
    return clean_line(address)[:320]
