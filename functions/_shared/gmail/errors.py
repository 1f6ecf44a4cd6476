"""Google's errors → ours, with the fix. The one place where their classes are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.errors import AicdError, CallerError, NotFound, OutsideError
from functions._shared.pause import read_retry_after

RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"})


class MailboxUnusable(OutsideError):
    """Gmail refuses our credentials or settings for this mailbox; only its operator can heal that."""

    default_code = "mailbox-unusable"


class MailRefused(CallerError):
    """Gmail does not accept this request; sending it again will not help."""

    default_code = "gmail-refused"


def translate_status(status: int, reason: str, headers: Mapping[str, Any]) -> AicdError:
    """The error for an HTTP status of the Gmail API; `reason` is Google's word for it, such as rateLimitExceeded."""
    if status == 404:
        return NotFound("Gmail has no such message or history.", code="gmail-not-found")
    if status == 401:
        return _credentials_dead()
    if status == 403 and reason not in RATE_REASONS:
        return MailboxUnusable(
            f"Gmail refuses us access ({reason or 'forbidden'}): a scope or a grant is missing.",
            fix="Authorise again with the scopes gmail.readonly and gmail.send; for a watch, grant "
            "gmail-api-push@system.gserviceaccount.com the publisher role on the topic.",
            code="gmail-forbidden",
        )
    if status in (403, 429) or status >= 500:
        return OutsideError(
            f"Gmail cannot serve us now (HTTP {status}{', ' + reason if reason else ''}).",
            fix="Wait; the work is kept and tried again.",
            code="gmail-unavailable",
            details={"retry_after_seconds": read_retry_after(headers)},
        )
    return MailRefused(
        f"Gmail refused the request (HTTP {status}{', ' + reason if reason else ''}).",
        fix="Look at the request that the log names; this does not heal by itself.",
    )


def translate_credentials(error: Exception) -> AicdError:
    """The error for a failed token refresh: dead for good (invalid_grant), or away for now."""
    if getattr(error, "retryable", False):
        return unreachable()
    return _credentials_dead()


def unreachable() -> OutsideError:
    """No answer, or half of one."""
    return OutsideError(
        "Gmail did not answer, or broke off in the middle.",
        fix="Wait; the work is kept and tried again.",
        code="gmail-unreachable",
    )


def _credentials_dead() -> MailboxUnusable:
    return MailboxUnusable(
        "Google no longer accepts the mailbox's refresh token (invalid_grant): it expired or was revoked. A consent "
        "screen in status 'Testing' ends every refresh token after 7 days.",
        fix="Authorise the mailbox again, set GMAIL_REFRESH_TOKEN to the new token, and publish the consent screen or "
        "make it Internal.",
        code="gmail-credentials",
    )
