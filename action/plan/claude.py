"""The boundary to the Messages API: one question, one answer, and foreign errors in our words.

| the API says | becomes |
|---|---|
| 429, 529 | asked again after a short wait, then `LimitReached` with the time it named |
| another 5xx, 408, 409, no connection | asked again, then OutsideError |
| 401, 403 | CallerError: the key |
| 402, or 400 about credit | CallerError: the account |
| 404 | CallerError: the model |
| 413, or 400 about the prompt's length | CallerError: the letter |
| another 4xx | BrokenPromise: what we send is wrong |

The SDK's own retries are off: it sleeps for as long as a Retry-After asks, and a runner is not to sleep for hours.
"""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from action.money import Usage
from action.money.usage import read_usage
from controlplane.errors import AicdError, BrokenPromise, CallerError, NotAllowed, OutsideError

if TYPE_CHECKING:
    import anthropic

DEFAULT_MODEL = "claude-opus-5-5"
# Above about 21,000 the SDK asks for streaming.
MOST_OUTPUT_TOKENS = 20_000
TIMEOUT_SECONDS = 300.0
TRIES = 3
LONGEST_WAIT_SECONDS = 20.0
DEFAULT_PAUSE_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 30 * 24 * 3600.0
OVERLOADED = 529
_EPOCH = re.compile(r"\|\s*(\d{10})\b")
# A subscription's token is told from an API key by its beginning; it needs a beta flag.
SUBSCRIPTION_PREFIX = "sk-ant-oat"
SUBSCRIPTION_BETA = "oauth-2025-04-20"

Turn = Mapping[str, Any]


class LimitReached(OutsideError):
    """The model's usage limit is reached. `details` holds `resume_at`, ISO 8601 in UTC."""

    default_code = "usage-limit"

    @property
    def resume_at(self) -> str:
        return str(self.details["resume_at"])


@dataclass(frozen=True)
class Reply:
    """`text` is empty where the model refused; `stop_reason` is the API's word."""

    text: str
    stop_reason: str
    model: str
    usage: Usage


class Claude:
    """One model with one key. The address is ANTHROPIC_BASE_URL's, which the SDK reads.

    `charge` hears of every answer: the API's id of it, the model, the usage. `allow` hears before each question how
    many characters it has, and raises where that is too dear.

    Raises CallerError at once where the `anthropic` package is not installed.
    """

    def __init__(
        self,
        key: SecretStr,
        model: str,
        charge: Callable[[str, str, Usage], None] = lambda _call, _model, _usage: None,
        *,
        allow: Callable[[int], None] = lambda _characters: None,
        sleep: Callable[[float], None] = time.sleep,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.model = model
        self._charge = charge
        self._allow = allow
        self._sleep = sleep
        self._client = _open_client(key.get_secret_value(), timeout_seconds)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def ask(self, system: Sequence[Mapping[str, Any]], turns: Sequence[Turn], schema: Mapping[str, Any]) -> Reply:
        """Ask once; the answer follows `schema` unless `stop_reason` says otherwise."""
        question: dict[str, Any] = {
            "model": self.model,
            "max_tokens": MOST_OUTPUT_TOKENS,
            "system": list(system),
            "messages": list(turns),
            "output_config": {"format": {"type": "json_schema", "schema": dict(schema)}},
        }
        self._allow(len(json.dumps(question, ensure_ascii=False)))
        message = self._patiently(lambda: self._client.messages.create(**question))
        usage = read_usage(message.usage.model_dump())
        self._charge(message.id, message.model, usage)
        text = "".join(block.text for block in message.content if block.type == "text")
        return Reply(text, message.stop_reason or "", message.model, usage)

    def _patiently(self, call: Callable[[], anthropic.types.Message]) -> anthropic.types.Message:
        import anthropic

        for attempt in range(1, TRIES + 1):
            try:
                message = call()
                if isinstance(message, anthropic.types.Message):
                    return message
                # Whatever stands in between answered, with a page of its own.
                wait = 2.0**attempt
                if attempt == TRIES:
                    raise _unreadable("no message")
            except anthropic.APIStatusError as error:
                wait = _wait_before_retry(error, attempt)
                if wait is None or attempt == TRIES:
                    raise translate_status(error, datetime.datetime.now(datetime.UTC)) from error
            except anthropic.APIConnectionError as error:
                wait = 2.0**attempt
                if attempt == TRIES:
                    raise _unreachable() from error
            except anthropic.AnthropicError as error:
                raise _unreadable(type(error).__name__) from error
            self._sleep(wait)
        raise _unreachable()


def translate_status(error: anthropic.APIStatusError, now: datetime.datetime) -> AicdError:
    """An answer that is no message, in our words. They hold the API's error type and request id, never its body."""
    status, said = error.status_code, (error.api_message or "").lower()
    trace = f"{error.type or 'no type'}, request {error.request_id or 'unknown'}"
    if status in (429, OVERLOADED):
        resume_at = find_resume_time(error.response.headers, error.api_message or "", now)
        told = "is overloaded" if status == OVERLOADED else "limits the use of this key"
        return LimitReached(
            f"Claude {told} until {resume_at:%Y-%m-%d %H:%M} UTC ({trace}).",
            "It goes on by itself then.",
            details={"resume_at": resume_at.isoformat(timespec="seconds")},
        )
    if status in (401, 403):
        return NotAllowed(
            f"Claude did not accept the key ({status}, {trace}).",
            "Set the secret behind `anthropic-api-key` to a live key of the Claude API.",
            "anthropic-key-refused",
        )
    if status == 402 or (status == 400 and "credit" in said):
        return CallerError(
            f"The Claude account has no credit left ({trace}).",
            "Add credit in the Claude console, then send the specification again.",
            "anthropic-credit",
        )
    if status == 404:
        return CallerError(
            f"Claude has no such model ({trace}).", "Set `planner-model` to one that the key may use.", "model-unknown"
        )
    if status == 413 or (status == 400 and "too long" in said):
        return CallerError(
            f"The letter and the repository are more than the model can read ({trace}).",
            "Send a shorter letter, or a specification with its sprints.",
            "letter-too-long",
        )
    if status in (408, 409) or status >= 500:
        return OutsideError(f"Claude is not available ({status}, {trace}).", "Try again later.", "claude-unavailable")
    return BrokenPromise(
        f"Claude did not understand our question ({status}, {trace}).", "Please report it.", "claude-refused-question"
    )


def find_resume_time(headers: Mapping[str, str], message: str, now: datetime.datetime) -> datetime.datetime:
    """When to go on: what Retry-After, the message or the limit's own header says; else in five minutes."""
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
    return min(max(wanted, earliest), latest)


def _wait_before_retry(error: anthropic.APIStatusError, attempt: int) -> float | None:
    """Seconds, or None where asking again is useless or takes longer than a runner may wait."""
    if error.response.headers.get("x-should-retry") == "false":
        return None
    if error.status_code not in (408, 409, 429) and error.status_code < 500:
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


def _unreadable(what: str) -> OutsideError:
    return OutsideError(
        f"Claude's answer could not be read ({what}).",
        "Try again; if it lasts, look at what stands between the runner and the API.",
        "claude-unreadable",
    )


def _unreachable() -> OutsideError:
    return OutsideError(
        "The Claude API could not be reached.",
        "Check the runner's network and ANTHROPIC_BASE_URL, then try again.",
        "claude-unreachable",
    )


def _open_client(key: str, timeout_seconds: float) -> anthropic.Anthropic:
    try:
        import anthropic
    except ImportError as error:
        raise CallerError(
            "The package `anthropic`, by which letters are planned, is not installed on this runner.",
            "Install requirements/agent.txt in the environment that AICD_PYTHON names, or leave AICD_PYTHON unset.",
            "planner-missing",
        ) from error
    if key.startswith(SUBSCRIPTION_PREFIX):
        beta = {"anthropic-beta": SUBSCRIPTION_BETA}
        return anthropic.Anthropic(auth_token=key, timeout=timeout_seconds, max_retries=0, default_headers=beta)
    return anthropic.Anthropic(api_key=key, timeout=timeout_seconds, max_retries=0)
