"""What the double says: a list of steps, one for each turn, or a function of the conversation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.doubles.anthropic.conversation import Conversation
from local.doubles.anthropic.federation import Federation


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Call(_Part):
    """A tool that the model calls. `{folder}` in a text of `input` stands for the agent's working directory."""

    name: str
    input: dict[str, Any] = {}


class Fault(_Part):
    """What goes wrong at a step, for the first `times` requests (0: always).

    status: an error of that status, with `message`, `retry_after` and `resets_at` (seconds since 1970) as the API sends
    them; limit-text: the usage limit of a key, its time in the message; limit-header: that of a subscription, its time
    in headers; cut: the stream breaks off in the middle; late: an error of that status comes there; hang: nothing comes
    for `seconds`; slow: so long between events; garbage: no stream at all.
    """

    kind: Literal["status", "limit-text", "limit-header", "cut", "late", "hang", "slow", "garbage"] = "status"
    status: int = Field(default=529, ge=400, le=599)
    message: str = ""
    retry_after: int | None = None
    resets_at: int | None = None
    seconds: float = 0.0
    times: int = Field(default=0, ge=0)


class Step(_Part):
    """One answer: `say` first, then the tools that are called. Tokens are those that the answer claims.

    `data` is a structured answer, sent as the text that the asked-for schema describes.
    """

    say: str = ""
    call: tuple[Call, ...] = ()
    data: Any = None
    stop_reason: Literal["end_turn", "tool_use", "max_tokens", "refusal"] | None = None
    input_tokens: int = 1000
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 200
    fault: Fault | None = None


class Scenario(_Part):
    """`planning` answers requests that ask for structure, `steps` all others; the last one is repeated for ever.

    `keys` are the API keys that are let in; empty lets every key in. With `federation` only tokens are let in that were
    given for an identity and still live.
    """

    planning: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = (Step(say="Done."),)
    keys: tuple[str, ...] = ()
    federation: Federation | None = None

    def __call__(self, conversation: Conversation) -> Step:
        steps = self.planning if conversation.wants_structure is not None and self.planning else self.steps
        return steps[min(conversation.turn, len(steps) - 1)]


Script = Callable[[Conversation], Step]


def load_scenario(given: str) -> Script:
    """A built-in one by its name, or a JSON file; raises ValueError with the reason for anything else."""
    from local.doubles.anthropic.builtin import BUILT_IN

    if given in BUILT_IN:
        return BUILT_IN[given]
    try:
        return Scenario.model_validate(json.loads(Path(given).read_text(encoding="utf-8")))
    except OSError as error:
        known = ", ".join(BUILT_IN)
        raise ValueError(f"There is no scenario '{given}': it is neither a file nor one of {known}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{given}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
