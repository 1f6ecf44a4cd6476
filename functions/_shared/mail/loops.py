"""Mail that no person wrote to us: bounces, automatic answers, lists and our own. Answering it is how loops begin.

RFC 3834 §2, RFC 3464, RFC 2919.
"""

from __future__ import annotations

import re

from functions._shared.mail.address import read_from
from functions._shared.mail.headers import Headers
from functions._shared.mail.words import parameters

OWN_HEADER_PREFIX = "x-aicd-"
OWN_MESSAGE_ID_DOMAIN = "aicd.invalid"  # and everything below it
_ROBOTS = frozenset({"mailer-daemon", "postmaster"})
_REPORTS = frozenset({"multipart/report", "message/delivery-status", "message/disposition-notification"})
_SUPPRESSED = re.compile(r"\b(?:all|autoreply|oof)\b", re.IGNORECASE)
# What our notices are called by: the id of their outbox row (notices/headers.py).
_NOTICE_ID = re.compile(r"<[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}@(?P<domain>[^\s<>@]{1,253})>\s*$")
_OWN_ID = re.compile(rf"@(?:[a-z0-9-]+\.)*{re.escape(OWN_MESSAGE_ID_DOMAIN)}>?\s*$", re.IGNORECASE)


def find_loop(headers: Headers, own_addresses: frozenset[str], notice_domain: str = "") -> str:
    """own-mail, bounce, auto-reply or mailing-list; empty for a mail that a person may have written."""
    if _is_own(headers, own_addresses, notice_domain):
        return "own-mail"
    if _is_report(headers):
        return "bounce"
    if _is_automatic(headers):
        return "auto-reply"
    # A bounce names whose mail server sends it back; a mail without any sender is no answer to anything.
    if headers.first("return-path").replace(" ", "") == "<>" and headers.has("from"):
        return "bounce"
    return "mailing-list" if _is_list(headers) else ""


def _is_own(headers: Headers, own_addresses: frozenset[str], notice_domain: str) -> bool:
    message_id = headers.first("message-id")[:1000]
    notice = _NOTICE_ID.search(message_id)
    own = {address.lower() for address in own_addresses}
    return (
        read_from(headers).claimed in own
        or any(name.startswith(OWN_HEADER_PREFIX) for name, _ in headers.fields)
        or _OWN_ID.search(message_id) is not None
        or (notice is not None and notice["domain"].lower() == notice_domain.lower())
    )


def _is_report(headers: Headers) -> bool:
    content_type = parameters("Content-Type", headers.first("content-type") or "text/plain").get_content_type()
    local = read_from(headers).claimed.partition("@")[0]
    return content_type in _REPORTS or local in _ROBOTS or headers.has("x-failed-recipients")


def _is_automatic(headers: Headers) -> bool:
    submitted = headers.first("auto-submitted").split(";")[0].split("(")[0].strip().lower()
    return (
        submitted not in ("", "no")
        or headers.has("x-autoreply")
        or headers.has("x-autorespond")
        or headers.first("precedence").strip().lower() in ("auto_reply", "auto-reply")
        or any(_SUPPRESSED.search(value) for value in headers.all("x-auto-response-suppress"))
    )


def _is_list(headers: Headers) -> bool:
    bulk = headers.first("precedence").strip().lower() in ("bulk", "list", "junk")
    return bulk or headers.has("list-id") or (headers.has("list-unsubscribe") and headers.has("list-post"))
