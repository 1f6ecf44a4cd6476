"""Google's errors → ours, with the fix. The one place where their classes are named.

Their words: developers.google.com/workspace/gmail/api/guides/handle-errors, RFC 6749 section 5.2 for the tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from controlplane.errors import AicdError, CallerError, NotFound, OutsideError
from functions._shared.pause import read_retry_after

RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"})
# A day's quota does not come back in a minute.
DAY_REASONS = frozenset({"dailyLimitExceeded", "quotaExceeded"})
DAY_QUOTA_SECONDS = 3_600.0
# Google's newer words (google.rpc.ErrorInfo), which stand in `details` beside the older ones or instead of them.
NEWER_WORDS = {
    "SERVICE_DISABLED": "accessNotConfigured",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "insufficientPermissions",
    "RATE_LIMIT_EXCEEDED": "rateLimitExceeded",
    "QUOTA_EXCEEDED": "quotaExceeded",
}
TOPIC_UNUSABLE = "gmail-topic"
PUBLISHER = "gmail-api-push@system.gserviceaccount.com"

FORBIDDEN_FIXES = {
    "accessNotConfigured": "Enable the Gmail API in the project of the OAuth client or service account, and wait a few "
    "minutes.",
    "domainPolicy": "Let an administrator of the domain allow this application: Admin console, Security, API controls.",
    "insufficientPermissions": "Authorise the mailbox again with the scopes gmail.readonly and gmail.send: "
    "`aicd gmail authorize`.",
}
TOKEN_FIXES = {
    "invalid_grant": (
        "Google no longer accepts the mailbox's refresh token (invalid_grant): it expired or was revoked. A consent "
        "screen in status 'Testing' ends every refresh token after 7 days.",
        "Run `aicd gmail authorize`, set GMAIL_REFRESH_TOKEN to the new token, and publish the consent screen or make "
        "it Internal.",
    ),
    "invalid_client": (
        "Google does not know the OAuth client (invalid_client): GMAIL_CLIENT_ID and GMAIL_CLIENT_SECRET do not belong "
        "together, or the client was deleted.",
        "Copy both from the project's credentials page, and authorise the mailbox with that client.",
    ),
    "unauthorized_client": (
        "Google does not let this client act for the mailbox (unauthorized_client).",
        "For a service account: let an administrator of the domain add its client id with the scopes gmail.readonly "
        "and gmail.send under Security, API controls, Domain-wide delegation; it takes effect within a day. For a "
        "refresh token: it was granted to another client.",
    ),
    "invalid_scope": (
        "The mailbox's grant does not cover what we ask for (invalid_scope).",
        "Authorise it again with the scopes gmail.readonly and gmail.send: `aicd gmail authorize`.",
    ),
    "admin_policy_enforced": (
        "The domain's administrator does not allow this application (admin_policy_enforced).",
        "Let him trust the OAuth client: Admin console, Security, API controls.",
    ),
}


class MailboxUnusable(OutsideError):
    """Gmail refuses our credentials or settings for this mailbox; only its operator can heal that."""

    default_code = "mailbox-unusable"


class MailRefused(CallerError):
    """Gmail does not accept this request; sending it again will not help."""

    default_code = "gmail-refused"


def read_reason(body: bytes) -> str:
    """Google's word for a refusal, such as rateLimitExceeded, from the body that came with it; empty where there is
    none. Its longer sentence may hold what it should not, and the client library hides one form behind the other."""
    try:
        error = json.loads(body)["error"]
        words = [*_reasons(error.get("errors")), *map(_older_word, _reasons(error.get("details")))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    telling = [word for word in words if word in RATE_REASONS or word in FORBIDDEN_FIXES]
    return next(iter([*telling, *words]), "")


def _reasons(entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else []:
        word = entry.get("reason") if isinstance(entry, Mapping) else None
        if isinstance(word, str) and re.fullmatch(r"\w{1,60}", word, re.ASCII):
            yield word


def _older_word(word: str) -> str:
    return NEWER_WORDS.get(word, word)


def translate_status(status: int, reason: str, headers: Mapping[str, Any]) -> AicdError:
    """The error for an HTTP status of the Gmail API; `reason` is Google's word for it, such as rateLimitExceeded."""
    if status == 404:
        return NotFound("Gmail has no such message or history.", code="gmail-not-found")
    if status == 401:
        return _token_refused("invalid_grant")
    if status == 403 and reason not in RATE_REASONS:
        return MailboxUnusable(
            f"Gmail refuses us access ({reason or 'forbidden'}): a scope or a grant is missing.",
            fix=FORBIDDEN_FIXES.get(reason, FORBIDDEN_FIXES["insufficientPermissions"]),
            code="gmail-forbidden",
        )
    if status == 400 and reason == "failedPrecondition":
        return MailboxUnusable(
            "This account has no Gmail (failedPrecondition): mail is not switched on for it, or it was suspended.",
            fix="Use a mailbox, or let an administrator of the domain switch Gmail on for this user.",
            code="gmail-no-mailbox",
        )
    # A redirection is of something in between: Gmail's API has none.
    if status < 400 or status in (403, 408, 429) or status >= 500:
        return _away(status, reason, headers)
    return MailRefused(
        f"Gmail refused the request (HTTP {status}{', ' + reason if reason else ''}).",
        fix="Look at the request that the log names; this does not heal by itself.",
    )


def is_quota(error: AicdError) -> bool:
    """Whether Google says that we ask too much, which tells nothing of what was asked for."""
    return bool(error.details.get("is_quota"))


def translate_watch(error: AicdError, topic: str) -> AicdError:
    """What an error means when it is the answer to `watch`: mostly that the topic is not as Gmail needs it."""
    if isinstance(error, NotFound):
        return _topic_unusable(f"There is no Pub/Sub topic {topic}.", "Create it, or correct GMAIL_TOPIC.")
    if isinstance(error, MailRefused):
        return _topic_unusable(
            f"Gmail does not accept the topic {topic}.",
            "GMAIL_TOPIC must be projects/PROJECT/topics/TOPIC, in the project of the OAuth client or service account.",
        )
    if error.code == "gmail-forbidden" and "(forbidden)" in error.message:
        return _topic_unusable(
            f"Gmail may not publish to the topic {topic}.",
            f"Grant {PUBLISHER} the role roles/pubsub.publisher on it. Where an organisation policy forbids foreign "
            "members (domain restricted sharing), except this project from it first.",
        )
    return error


def translate_credentials(error: Exception, *, delegated: bool = False) -> AicdError:
    """The error for a failed token refresh: dead for good (invalid_grant), or away for now. `delegated` tells of a
    service account, whose words mean something else."""
    from google.auth.exceptions import TransportError

    if getattr(error, "retryable", False) or isinstance(error, TransportError):
        return unreachable()
    details = error.args[1] if len(error.args) > 1 else None
    word = details.get("error") if isinstance(details, Mapping) else None
    word = word if isinstance(word, str) else "invalid_grant"
    if delegated and word == "invalid_grant":
        return MailboxUnusable(
            "Google gives the service account no token for this mailbox (invalid_grant): the domain has no such user, "
            "or he is suspended, or the key was deleted.",
            fix="Check the address in the Admin console, and the key of GMAIL_SERVICE_ACCOUNT in Google Cloud.",
            code="gmail-credentials",
        )
    return _token_refused(word)


def unreachable() -> OutsideError:
    """No answer, or half of one."""
    return OutsideError(
        "Gmail did not answer, or broke off in the middle.",
        fix="Wait; the work is kept and tried again.",
        code="gmail-unreachable",
    )


def other_mailbox(wanted: str, opened: str) -> MailboxUnusable:
    """The token opens a mailbox, and not the one that it was given for."""
    return MailboxUnusable(
        f"The refresh token for {wanted} opens the mailbox {opened}; nothing was read from it.",
        fix=f"Run `aicd gmail authorize --mailbox {wanted}` as the owner of that mailbox. Several mailboxes need one "
        "token each: GMAIL_REFRESH_TOKENS.",
        code="gmail-other-mailbox",
    )


def _away(status: int, reason: str, headers: Mapping[str, Any]) -> OutsideError:
    wish = read_retry_after(headers)
    if wish is None and reason in DAY_REASONS:
        wish = DAY_QUOTA_SECONDS
    is_quota = status in (403, 429)  # every 403 that comes here
    return OutsideError(
        f"Gmail cannot serve us now (HTTP {status}{', ' + reason if reason else ''}).",
        fix="Wait; the work is kept and tried again."
        + (" If it lasts, ask for more quota, or spread the mailboxes over several projects." if is_quota else ""),
        code="gmail-unavailable",
        details={"retry_after_seconds": wish, "is_quota": is_quota},
    )


def _topic_unusable(message: str, fix: str) -> MailboxUnusable:
    return MailboxUnusable(message, fix=fix, code=TOPIC_UNUSABLE)


def _token_refused(word: str) -> MailboxUnusable:
    known = TOKEN_FIXES.get(word)
    message, fix = known or (f"Google does not give us a token for the mailbox ({word[:60]}).", "Authorise it again.")
    return MailboxUnusable(message, fix=fix, code="gmail-credentials")
