"""What one call to a model used, in the Messages API's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from controlplane.noun import Noun

# Text has three to four bytes for a token, in any script; three overstates the cost a little, never the money left.
BYTES_PER_TOKEN = 3


class Usage(Noun):
    """Tokens of one call. `input_tokens` are those outside the cache; the whole prompt is the sum of the first four.

    `us_only` and `fast` are what the API says of where and how it was computed; both have a price.
    """

    input_tokens: int = Field(default=0, ge=0)
    cache_read_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)
    cache_write_1h_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    web_searches: int = Field(default=0, ge=0)
    us_only: bool = False
    fast: bool = False

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens + self.cache_write_1h_tokens


def most_tokens(size: int) -> int:
    """How many tokens so many bytes of UTF-8 are at most."""
    return -(-size // BYTES_PER_TOKEN)


def read_usage(document: Mapping[str, Any]) -> Usage:
    """`usage` of an answer, or of `message_start` with that of the last `message_delta` laid over it.

    https://docs.claude.com/en/api/messages: `cache_creation_input_tokens` is the total of both lifetimes. A number that
    cannot be read counts as none.
    """
    creation = document.get("cache_creation")
    written = _count(document.get("cache_creation_input_tokens"))
    hour = min(_count(creation.get("ephemeral_1h_input_tokens")), written) if isinstance(creation, Mapping) else 0
    tools = document.get("server_tool_use")
    return Usage(
        input_tokens=_count(document.get("input_tokens")),
        cache_read_tokens=_count(document.get("cache_read_input_tokens")),
        cache_write_tokens=written - hour,
        cache_write_1h_tokens=hour,
        output_tokens=_count(document.get("output_tokens")),
        web_searches=_count(tools.get("web_search_requests")) if isinstance(tools, Mapping) else 0,
        us_only=document.get("inference_geo") == "us",
        fast=document.get("speed") == "fast",
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
