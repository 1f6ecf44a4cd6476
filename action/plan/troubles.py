"""What goes wrong between us and the Messages API, in our words.

| the API says | becomes |
|---|---|
| 429, 529 | asked again after a short wait, then `LimitReached` with the time it named |
| another 5xx, 408, 409, no connection | asked again, then OutsideError |
| 401, 403 | CallerError: the key |
| nothing, since this job's identity brought no token | what its exchange raised |
| 402, or 400 about credit | CallerError: the account |
| 404 | CallerError: the model |
| 413, or 400 about the prompt's length | CallerError: the letter |
| another 4xx | BrokenPromise: what we send is wrong |

An error that comes in the middle of an answer is told by its type: its HTTP status was 200.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from action.mending import FIXES
from action.money.unanswered import has_left, may_have_begun
from controlplane.errors import AicdError, BrokenPromise, CallerError, NotAllowed, OutsideError

if TYPE_CHECKING:
    import anthropic

LONGEST_WAIT_SECONDS = 20.0
DEFAULT_PAUSE_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 30 * 24 * 3600.0
OVERLOADED = 529
LATE_STATUSES = {"rate_limit_error": 429, "overloaded_error": OVERLOADED, "timeout_error": 504}
_EPOCH = re.compile(r"\|\s*(\d{10})\b")


class LimitReached(OutsideError):
    """The model's usage limit is reached. `details` holds `resume_at` (ISO 8601 in UTC) and `is_told`: by the API."""

    default_code = "usage-limit"

    @property
    def resume_at(self) -> str:
        return str(self.details["resume_at"])

    @property
    def told_at(self) -> str | None:
        """`resume_at` where the API named it; else it is our guess."""
        return self.resume_at if self.details.get("is_told", True) else None


def foreign_errors() -> tuple[type[Exception], ...]:
    """What a question may raise. Whatever stands in between may answer with a page of its own, on which the SDK fails
    in ways that it does not name."""
    import anthropic
    import httpx2

    return (
        anthropic.AnthropicError, httpx2.HTTPError, ConnectionError, ValueError, TypeError, LookupError,
        AttributeError, RuntimeError,
    )  # fmt: skip


def explain(error: Exception, attempt: int) -> tuple[AicdError, float | None]:
    """One of `foreign_errors` in our words, and seconds after which to ask again; None where that is useless."""
    import anthropic
    import httpx2

    if isinstance(error.__cause__, AicdError):
        unproven = error.__cause__
        return unproven, 2.0**attempt if isinstance(unproven, OutsideError) else None
    if isinstance(error, anthropic.APIStatusError):
        return translate_status(error, datetime.datetime.now(datetime.UTC)), wait_before_retry(error, attempt)
    if isinstance(error, anthropic.APIConnectionError | httpx2.TransportError | ConnectionError):
        return unreachable(), 2.0**attempt
    return unreadable(type(error).__name__), 2.0**attempt


def may_have_cost(error: BaseException) -> bool:
    """Whether an answer may have been begun of which nothing came."""
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return may_have_begun(error.status_code, error.type)
    at = error.__cause__ if isinstance(error, anthropic.APIConnectionError) else error
    # What proves us is asked for before anything is sent.
    return not isinstance(at, AicdError) and has_left(at)


def translate_status(error: anthropic.APIStatusError, now: datetime.datetime) -> AicdError:
    """An answer that is no message, in our words. They hold the API's error type and request id, never its body."""
    status, said = find_status(error), (error.api_message or "").lower()
    trace = f"{error.type or 'no type'}, request {error.request_id or 'unknown'}"
    if status in (429, OVERLOADED):
        resume_at, is_told = find_resume_time(error.response.headers, error.api_message or "", now)
        told = "is overloaded" if status == OVERLOADED else "limits the use of this key"
        return LimitReached(
            f"Claude {told} until {resume_at:%Y-%m-%d %H:%M} UTC ({trace}).",
            "It goes on by itself then.",
            details={
                "resume_at": resume_at.isoformat(timespec="seconds"),
                "is_told": is_told,
            },
        )
    if status in (401, 403):
        return NotAllowed(
            f"Claude did not accept the key ({status}, {trace}).",
            FIXES["anthropic-key-refused"],
            "anthropic-key-refused",
        )
    if status == 402 or (status == 400 and "credit" in said):
        return CallerError(
            f"The Claude account has no credit left ({trace}).",
            FIXES["anthropic-credit"],
            "anthropic-credit",
        )
    if status == 404:
        return CallerError(f"Claude has no such model ({trace}).", FIXES["model-unknown"], "model-unknown")
    if status == 413 or (status == 400 and "too long" in said):
        return CallerError(
            f"The letter and the repository are more than the model can read ({trace}).",
            "Send a shorter letter, or a specification with its sprints.",
            "letter-too-long",
        )
    if status in (408, 409) or status >= 500:
        unavailable = "claude-unavailable"
        return OutsideError(f"Claude is not available ({status}, {trace}).", FIXES[unavailable], unavailable)
    return BrokenPromise(
        f"Claude did not understand our question ({status}, {trace}).", "Please report it.", "claude-refused-question"
    )


def find_resume_time(
    headers: Mapping[str, str], message: str, now: datetime.datetime
) -> tuple[datetime.datetime, bool]:
    """When to go on: what Retry-After, the message or the limit's own header says; else in five minutes. And whether
    one of them said it: else it is our guess."""
    found: list[datetime.datetime] = []
    seconds = _seconds(headers.get("retry-after", ""))
    epoch = _EPOCH.search(message)
    if seconds is not None:
        found = [now + datetime.timedelta(seconds=min(seconds, LONGEST_PAUSE_SECONDS))]
    elif epoch:
        found = [datetime.datetime.fromtimestamp(int(epoch[1]), datetime.UTC)]
    else:
        used_up = [
            headers.get(name.removesuffix("-remaining") + "-reset", "")
            for name, value in headers.items()
            if name.startswith("anthropic-ratelimit-") and name.endswith("-remaining") and value.strip() == "0"
        ]
        resets = (_time(text) for text in [headers.get("anthropic-ratelimit-unified-reset", ""), *used_up])
        found = [reset for reset in resets if reset is not None]
    earliest, latest = now + datetime.timedelta(seconds=1), now + datetime.timedelta(seconds=LONGEST_PAUSE_SECONDS)
    wanted = max(found, default=now + datetime.timedelta(seconds=DEFAULT_PAUSE_SECONDS))
    return min(max(wanted, earliest), latest), bool(found)


def find_status(error: anthropic.APIStatusError) -> int:
    """The HTTP status, or what it would have been if the answer had not begun by then."""
    return error.status_code if error.status_code >= 400 else LATE_STATUSES.get(error.type or "", 500)


def wait_before_retry(error: anthropic.APIStatusError, attempt: int) -> float | None:
    """Seconds, or None where asking again is useless or takes longer than a runner may wait."""
    if error.response.headers.get("x-should-retry") == "false":
        return None
    status = find_status(error)
    if status not in (408, 409, 429) and status < 500:
        return None
    asked = _seconds(error.response.headers.get("retry-after", ""))
    if _EPOCH.search(error.api_message or ""):
        return None
    wait = 2.0**attempt if asked is None else asked
    return wait if wait <= LONGEST_WAIT_SECONDS else None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _time(text: str) -> datetime.datetime | None:
    """RFC 3339, or seconds since 1970."""
    try:
        if text.isdigit():
            return datetime.datetime.fromtimestamp(int(text), datetime.UTC)
        found = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def unreadable(what: str) -> OutsideError:
    return OutsideError(
        f"Claude's answer could not be read ({what}).",
        "Try again; if it lasts, look at what stands between the runner and the API.",
        "claude-unreadable",
    )


def unreachable() -> OutsideError:
    return OutsideError("The Claude API could not be reached.", FIXES["claude-unreachable"], "claude-unreachable")
