"""The body of a Gmail push: which mailbox has news. Everything else in it is ignored, its history id too.

Both spellings of Pub/Sub's fields and both base64 alphabets occur; a body that breaks these rules never heals.
Source: developers.google.com/workspace/gmail/api/guides/push
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from controlplane.errors import CallerError

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,200}@[^@\s\x00-\x1f]{1,200}")


class UnusableNotification(CallerError):
    """This push can never be understood; repeating it is useless."""

    default_code = "notification-unusable"


@dataclass(frozen=True)
class Notification:
    """`push_id` is Pub/Sub's message id, for the log only: it is not a mail's id."""

    email: str
    push_id: str


def parse_notification(body: bytes) -> Notification:
    """Read a wrapped push. Raises `UnusableNotification` with the reason as its code."""
    envelope = _object(body, "envelope-not-json")
    message = envelope.get("message")
    if not isinstance(message, dict):
        raise _unusable("no-message")
    data = message.get("data")
    if not isinstance(data, str) or not data:
        raise _unusable("no-data")
    news = _object(_decode(data), "data-not-json")
    email = news.get("emailAddress")
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        raise _unusable("no-mailbox")
    push_id = message.get("messageId") or message.get("message_id") or ""
    return Notification(email.lower(), str(push_id)[:100])


def _object(data: bytes, reason: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise _unusable(reason) from None
    if not isinstance(value, dict):
        raise _unusable(reason)
    return value


def _decode(data: str) -> bytes:
    text = data.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise _unusable("data-not-base64") from None


def _unusable(reason: str) -> UnusableNotification:
    return UnusableNotification(f"The push cannot be understood: {reason}.", code=reason)
