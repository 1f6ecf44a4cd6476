"""A delivery, proven: Standard Webhooks (standardwebhooks.com), one secret for each source.

| header | must be |
|---|---|
| `webhook-id` | 1 to 200 visible ASCII characters but no full stop; the same one again is `delivery-replayed` |
| `webhook-timestamp` | whole seconds since 1970, at most five minutes from now |
| `webhook-signature` | one or several of `v1,BASE64`, HMAC-SHA256 of `id.timestamp.body`; one has to fit |

The secret stays in the database, which compares; all else that is wrong is `delivery-not-proven`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

import structlog

from functions._shared.endpoint import Call, CallerNotProven

log = structlog.get_logger(__name__)

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SOURCE = re.compile(r"/([a-z0-9][a-z0-9-]{0,62})/?")
# Without a full stop: it parts what is signed, and `a.1` with the time 2 would be `a` with the time 1.
DELIVERY_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}")
SECONDS = re.compile(r"[1-9][0-9]{0,11}")
# The version, a comma, and 32 bytes in base64.
SIGNED = re.compile(r"v1,([A-Za-z0-9+/]{43}=)")
MAX_AGE_SECONDS = 300
MOST_SIGNATURES = 10


class NotProven(CallerNotProven):
    """The delivery was not signed by this source, or not in the last five minutes."""

    default_code = "delivery-not-proven"


@dataclass(frozen=True)
class Delivery:
    """What the headers say; nothing of it is proven yet. `signed` is base64 of the bytes that were signed."""

    source: str
    delivery_id: str
    signed: str
    unverified_signatures: tuple[str, ...]


def read_delivery(call: Call, now: float) -> Delivery:
    """Raises NotProven for what cannot be a delivery of now."""
    source = SOURCE.fullmatch(call.path)
    if source is None:
        raise refused("source")
    delivery_id, timestamp = call.header(ID), call.header(TIMESTAMP)
    if not DELIVERY_ID.fullmatch(delivery_id):
        raise refused("id")
    if not SECONDS.fullmatch(timestamp) or abs(now - int(timestamp)) > MAX_AGE_SECONDS:
        raise refused("timestamp")
    signatures = tuple(match[1] for part in call.header(SIGNATURE).split(" ") if (match := SIGNED.fullmatch(part)))
    if not signatures:
        raise refused("signature-form")
    signed = f"{delivery_id}.{timestamp}.".encode() + call.body
    return Delivery(source[1], delivery_id, base64.b64encode(signed).decode(), signatures[:MOST_SIGNATURES])


def refused(reason: str) -> NotProven:
    """Counted in the log by its reason, which the answer does not have."""
    log.warning("delivery refused", reason=reason)
    return NotProven(fix="Sign 'webhook-id.webhook-timestamp.body' with the source's secret (standardwebhooks.com).")
