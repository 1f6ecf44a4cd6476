"""The boundary to the Messages API: one question, one answer as a stream, and foreign errors in our words.

Every try is allowed before it is made and counted after it, however it ends: what came of an answer that broke off is
paid for. Of a question that was sent and never heard of again, the most it may have cost is counted.

The SDK's own retries are off: it sleeps for as long as a Retry-After asks, and a runner is not to sleep for hours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from action.money import Usage
from action.money.meter import Meter
from action.plan.troubles import explain, foreign_errors, may_have_cost
from controlplane.errors import CallerError
from controlplane.noun import Noun

if TYPE_CHECKING:
    import anthropic

    from action.build.agents.claude.key import Credential

DEFAULT_MODEL = "claude-opus-5-5"
# More than a plan needs, and little enough for its price to be kept back.
MOST_OUTPUT_TOKENS = 20_000
# Idle for so long means dead: a stream brings a ping at least each quarter of a minute.
TIMEOUT_SECONDS = 120.0
TRIES = 3
# The events that say what an answer costs; the SDK makes more of them, which hold the same again.
COUNTED = ("message_start", "content_block_delta", "message_delta", "message_stop")

Turn = Mapping[str, Any]


class Purse(Protocol):
    """Who pays. `size` is that of a question, in bytes."""

    def allow(self, size: int) -> None:
        """Before each try; raises where it may become too dear."""

    def charge(self, call: str, model: str, usage: Usage) -> None:
        """What an answer used, whole or broken off; `call` is the API's id of it."""

    def write_off(self, size: int) -> None:
        """The question was sent, and nothing is known of an answer."""


class Reply(Noun):
    """`text` is empty where the model refused; `stop_reason` is the API's word."""

    text: str
    stop_reason: str
    model: str
    usage: Usage


class Claude:
    """One model with one key. Without `url` the address is ANTHROPIC_BASE_URL's, which the SDK reads.

    Raises CallerError at once where the `anthropic` package is not installed.
    """

    def __init__(
        self,
        key: Credential,
        model: str,
        purse: Purse,
        *,
        sleep: Callable[[float], None] = time.sleep,
        timeout_seconds: float = TIMEOUT_SECONDS,
        url: str = "",
    ) -> None:
        self.model = model
        self._purse = purse
        self._sleep = sleep
        self._client = _open_client(key, timeout_seconds, url)

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
        return self._patiently(question, len(json.dumps(question, ensure_ascii=False).encode("utf-8", "replace")))

    def _patiently(self, question: Mapping[str, Any], size: int) -> Reply:
        for attempt in range(1, TRIES + 1):
            self._purse.allow(size)
            try:
                return self._listen(question, size)
            except foreign_errors() as error:
                trouble, wait = explain(error, attempt)
                if wait is None or attempt == TRIES:
                    raise trouble from error
            self._sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _listen(self, question: Mapping[str, Any], size: int) -> Reply:
        """One try; raises what the SDK raises, ConnectionError where the answer breaks off."""
        meter = Meter(streamed=True)
        with self._counting(meter, size), self._client.messages.stream(**question) as stream:
            for event in stream:
                if event.type in COUNTED:
                    meter.hear(event.model_dump())
            if not meter.message:
                raise ValueError("no message")
            if not meter.complete or meter.usage is None:
                raise ConnectionError("the answer broke off")
            message = stream.get_final_message()
        text = "".join(block.text for block in message.content if block.type == "text")
        return Reply(text=text, stop_reason=message.stop_reason or "", model=message.model, usage=meter.usage)

    @contextmanager
    def _counting(self, meter: Meter, size: int) -> Iterator[None]:
        """However the block ends, what it cost is told to the purse."""
        is_free = False
        try:
            yield
        except BaseException as error:
            is_free = not may_have_cost(error)
            raise
        finally:
            usage = meter.usage
            if usage is not None:
                self._purse.charge(meter.message, meter.model, usage)
            elif not is_free:
                self._purse.write_off(size)


def _open_client(key: Credential, timeout_seconds: float, url: str) -> anthropic.Anthropic:
    try:
        import anthropic
    except ImportError as error:
        raise CallerError(
            "The package `anthropic`, by which letters are planned, is not installed on this runner.",
            "Install requirements/agent.txt in the environment that AICD_PYTHON names, or leave AICD_PYTHON unset.",
            "planner-missing",
        ) from error
    # An identity that is refused is told of in our words; the SDK would call it a broken connection.
    key.headers()
    return anthropic.Anthropic(**key.sdk_options(), base_url=url or None, timeout=timeout_seconds, max_retries=0)
