"""Plays Google's receiving mail server: stamps its trace fields above what the sender wrote.

The order is Gmail's own: Delivered-To, Received by, X-Received, ARC-*, Return-Path, Received from, Received-SPF,
Authentication-Results. Below them the sender's bytes stay untouched, forged fields included. Seals and signatures are
random: nobody who trusts this server verifies them again.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from local.doubles.google.headers import Headers, read_headers, split_address

AUTHSERV_ID = "mx.google.com"
PEER_IP = "192.0.2.10"


@dataclass(frozen=True)
class Envelope:
    """How a mail came over SMTP.

    authenticated: whether SPF, DKIM and DMARC pass for the domain in From.
    sender: MAIL FROM; None takes it from From, "" is the null sender of a bounce.
    signed_by: a domain whose (valid) DKIM signature the mail carries although From names another one.
    """

    recipient: str
    authenticated: bool = True
    sender: str | None = None
    signed_by: str | None = None


def stamp(original: bytes, envelope: Envelope, now: datetime | None = None) -> bytes:
    """The mail as Gmail stores it. `original` may be malformed in any way."""
    when = now or datetime.now(UTC)
    author = author_domain(read_headers(original))
    mail_from = _mail_from(original, envelope)
    results = _results(author, mail_from, envelope)
    peer = f"mail.{author or 'unknown.invalid'} (mail.{author or 'unknown.invalid'}. [{PEER_IP}])"
    date = format_datetime(when)
    folded = ";\r\n       ".join([AUTHSERV_ID, *results])
    lines = [
        f"Delivered-To: {envelope.recipient}",
        f"Received: by 2002:a05:6000:{secrets.token_hex(2)}:b0:{secrets.token_hex(2)} with SMTP id {_queue_id()};"
        f"\r\n        {date}",
        f"X-Received: by 2002:a17:906:{secrets.token_hex(2)}:b0:{secrets.token_hex(2)} with SMTP id {_queue_id()};"
        f"\r\n        {date}",
        f"ARC-Seal: i=1; a=rsa-sha256; t={int(when.timestamp())}; cv=none;\r\n        d=google.com; s=arc-20240605;"
        f"\r\n        b={_signature()}",
        "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=google.com; s=arc-20240605;"
        f"\r\n        h=to:from:subject:message-id:date;\r\n        bh={_signature(32)};\r\n        b={_signature()}",
        f"ARC-Authentication-Results: i=1; {folded}",
        f"Return-Path: <{mail_from}>",
        f"Received: from {peer}\r\n        by {AUTHSERV_ID} with ESMTPS id {_queue_id()}\r\n        "
        f"for <{envelope.recipient}>\r\n        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);"
        f"\r\n        {date}",
        f"Received-SPF: {_spf_comment(mail_from or 'postmaster', envelope)} client-ip={PEER_IP};",
        f"Authentication-Results: {folded}",
    ]
    # A first line that begins with a space would continue our last field: such a mail has no header block at all.
    separator = b"\r\n\r\n" if original[:1] in (b" ", b"\t") else b"\r\n"
    return "\r\n".join(lines).encode("ascii", "replace") + separator + original


def author_domain(headers: Headers) -> str | None:
    """The domain of the first address in the first From field; None when there is none to be read."""
    first = Headers((("From", headers.first("From")),)).addresses("From")
    parts = split_address(first[0]) if first else None
    return parts[1] if parts else None


def _mail_from(original: bytes, envelope: Envelope) -> str:
    if envelope.sender is not None:
        return envelope.sender if split_address(envelope.sender) else ""
    authors = read_headers(original).addresses("From")
    return authors[0] if authors else ""


def _results(author: str | None, mail_from: str, envelope: Envelope) -> list[str]:
    dkim = author if envelope.authenticated else envelope.signed_by
    signature = f"dkim=pass header.i=@{dkim} header.s=s1 header.b={secrets.token_hex(4)}"
    peer = mail_from or "postmaster"
    spf = f"spf={_spf_comment(peer, envelope)} smtp.mailfrom={peer}"
    dmarc = "dmarc=none"
    if author is not None:
        policy = "pass (p=REJECT sp=REJECT" if envelope.authenticated else "fail (p=NONE sp=NONE"
        dmarc = f"dmarc={policy} dis=NONE) header.from={author}"
    return [*([signature] if dkim else []), spf, dmarc]


def _spf_comment(peer: str, envelope: Envelope) -> str:
    if envelope.authenticated:
        return f"pass (google.com: domain of {peer} designates {PEER_IP} as permitted sender)"
    return f"softfail (google.com: domain of transitioning {peer} does not designate {PEER_IP} as permitted sender)"


def _queue_id() -> str:
    return secrets.token_hex(10)


def _signature(size: int = 256) -> str:
    text = base64.b64encode(secrets.token_bytes(size)).decode("ascii")
    return "\r\n         ".join(text[start : start + 64] for start in range(0, len(text), 64))
