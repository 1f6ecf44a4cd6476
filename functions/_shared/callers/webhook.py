"""Proves that a request comes from our database: HMAC-SHA256 over `timestamp.body` (docs/architecture.md, HTTP).

A captured request can be replayed for five minutes. All it can do is to have due rows taken up, which is harmless.
"""

from __future__ import annotations

import hashlib
import hmac

import structlog

from controlplane.secret import Secret
from functions._shared.endpoint import CallerNotProven

log = structlog.get_logger(__name__)

TIMESTAMP_HEADER = "X-Aicd-Timestamp"
SIGNATURE_HEADER = "X-Aicd-Signature"
MAX_AGE_SECONDS = 300
_TIMESTAMP_DIGITS = 12


def sign_webhook(secret: Secret, timestamp: int, body: bytes) -> str:
    """The signature header's value."""
    payload = str(timestamp).encode() + b"." + body
    return "sha256=" + hmac.new(secret.get_secret_value().encode(), payload, hashlib.sha256).hexdigest()


def verify_webhook(secret: Secret, timestamp: str, signature: str, body: bytes, now: float) -> None:
    """Raise `CallerNotProven` unless the raw bytes were signed with our secret within the last five minutes.

    `timestamp` and `signature` are the two headers as they came.
    """
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _TIMESTAMP_DIGITS):
        raise _refused("no-timestamp")
    expected = sign_webhook(secret, int(timestamp), body).encode()
    # The signature covers the digits as sent: a leading zero would be another text with the same number.
    if str(int(timestamp)) != timestamp:
        raise _refused("no-timestamp")
    if not hmac.compare_digest(expected, signature.encode()):
        raise _refused("signature")
    if abs(now - int(timestamp)) > MAX_AGE_SECONDS:
        raise _refused("stale")


def _refused(reason: str) -> CallerNotProven:
    log.warning("webhook refused", reason=reason)
    return CallerNotProven(
        "The webhook's signature is missing or was not accepted.",
        fix="Sign timestamp + '.' + body with the outbox secret, and send it within five minutes.",
    )
