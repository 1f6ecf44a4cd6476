"""Proves that a request comes from GitHub: HMAC-SHA256 of the raw body, with the secret of the webhook.

Source: docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hashlib
import hmac
import re

import structlog

from controlplane.secret import Secret
from functions._shared.endpoint import CallerNotProven

log = structlog.get_logger(__name__)

HEADER = "X-Hub-Signature-256"
SHAPE = re.compile(r"sha256=[0-9a-f]{64}")


def sign(secret: Secret, body: bytes) -> str:
    """The header's value."""
    return "sha256=" + hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()


def verify(secret: Secret, unverified_signature: str, body: bytes) -> None:
    """Raise CallerNotProven unless our secret signed the raw bytes. The older header with SHA-1 is not read."""
    if not SHAPE.fullmatch(unverified_signature):
        raise _refused("signature-form")
    if not hmac.compare_digest(sign(secret, body).encode(), unverified_signature.encode()):
        raise _refused("signature")


def _refused(reason: str) -> CallerNotProven:
    log.warning("delivery refused", reason=reason)
    return CallerNotProven(
        "The signature is missing or was not accepted.",
        fix="Set the webhook's secret at GitHub to AICD_GITHUB_WEBHOOK_SECRET.",
        code="delivery-not-proven",
    )
