"""Counting what an answer cost while it passes through: from its events, or from its document."""

from __future__ import annotations

import json
from typing import Any

from action.money.usage import Usage, most_tokens, read_usage

MOST_LINE_BYTES = 4_000_000


class Meter:
    """Feed it the body as it comes, or let it hear the events; `usage` says what is known at any time.

    `refusal` is the type of the API's own error, where one came.

    Of a stream that breaks off, the tokens that came are guessed from their length: they are paid for, too.
    """

    def __init__(self, *, streamed: bool) -> None:
        self.model = ""
        self.message = ""
        self.refusal = ""
        self.complete = False
        self._streamed = streamed
        self._rest = b""
        self._numbers: dict[str, Any] = {}
        self._bytes = 0

    def feed(self, data: bytes) -> None:
        self._rest += data
        if not self._streamed:
            self._rest = self._rest[: MOST_LINE_BYTES * 8]
            return
        *lines, self._rest = self._rest.split(b"\n")
        self._rest = self._rest[-MOST_LINE_BYTES:]
        for line in lines:
            if line.startswith(b"data:"):
                self.hear(parse_object(line[5:]))

    def close(self) -> None:
        """The body is at its end."""
        if not self._streamed:
            document = parse_object(self._rest)
            self._opening(document)
            self.refusal = error_type(document)
            self.complete = document.get("type") == "message"

    @property
    def usage(self) -> Usage | None:
        """None when nothing was begun that could cost anything."""
        if not self.message:
            return None
        usage = read_usage(self._numbers)
        guessed = most_tokens(self._bytes)
        if self._streamed and not self.complete and guessed > usage.output_tokens:
            usage = usage.model_copy(update={"output_tokens": guessed})
        return usage

    def hear(self, event: dict[str, Any]) -> None:
        """One event of a stream; those that say nothing about the cost are passed over."""
        kind = event.get("type")
        if kind == "message_start":
            self._opening(_object(event.get("message")))
        elif kind == "content_block_delta":
            delta = _object(event.get("delta"))
            came = (text for name, text in delta.items() if name != "type" and isinstance(text, str))
            self._bytes += sum(len(text.encode("utf-8", "replace")) for text in came)
        elif kind == "message_delta":
            known = _object(event.get("usage"))
            self._numbers.update({name: value for name, value in known.items() if value is not None})
        elif kind == "message_stop":
            self.complete = True
        elif kind == "error":
            self.refusal = error_type(event)

    def _opening(self, message: dict[str, Any]) -> None:
        self.message = str(message.get("id") or "")
        self.model = str(message.get("model") or "")
        self._numbers = _object(message.get("usage"))


def error_type(document: dict[str, Any]) -> str:
    """The type of an error in the API's shape; empty for anything else."""
    return str(_object(document.get("error")).get("type") or "") if document.get("type") == "error" else ""


def parse_object(data: bytes) -> dict[str, Any]:
    """Empty where it is none."""
    try:
        return _object(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
