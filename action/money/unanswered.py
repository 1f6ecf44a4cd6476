"""Whether a question that brought no answer may have cost something all the same: one rule for planning and building.

What the API itself refused is free, and so is what never left us. But whatever stands in between may give up, or lose
the connection, while the API goes on: then the most that it may have cost is counted, so that no budget fails open.
"""

from __future__ import annotations

REDIRECTION, SERVER_ERROR = 300, 500
# httpx and its fork in the package `anthropic` name alike what happens before anything is sent.
UNSENT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "LocalProtocolError"}
)


def has_left(error: BaseException | None) -> bool:
    """Whether the question may have got to the API before this broke it off."""
    return UNSENT.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def may_have_begun(status: int, told: str | None) -> bool:
    """Of an answer without a message. `told` is the type of the API's own error; a page of something else has none."""
    return not told and (status < REDIRECTION or status >= SERVER_ERROR)
