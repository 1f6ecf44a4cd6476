"""Whether the MCP servers that a run cannot do without came up: told by the program's first line, watched from then on
so that no money is spent on work that will not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from action.build.agents.claude.stream import Told, servers_of

# The program waits for its servers before it says its first line; what is pending then has had its time already.
PENDING_SECONDS = 10.0


def find_down(told: Told, required: frozenset[str]) -> dict[str, str]:
    """Required servers that the program could not use, each with its state by the program's word.

    One that was pending and whose tools are called by now has come up since.
    """
    if not told.opening:
        return {}
    said = {one["name"]: one["status"] for one in servers_of(told.opening)}
    states = {name: said.get(name, "not started") for name in sorted(required)}
    return {name: state for name, state in states.items() if state != "connected" and not _came_up(told, name, state)}


class Readiness:
    """Asked again and again while the program runs."""

    def __init__(self, required: frozenset[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._required = required
        self._clock = clock
        self._waits_since: float | None = None

    def stop_for(self, told: Told) -> str:
        """Why the program has to be stopped; empty while it may go on. Patience is for what is pending alone."""
        down = find_down(told, self._required)
        if not down:
            return ""
        now = self._clock()
        self._waits_since = now if self._waits_since is None else self._waits_since
        hopeless = set(down.values()) != {"pending"} or now - self._waits_since > PENDING_SECONDS
        return f"a required MCP server is down: {', '.join(down)}" if hopeless else ""


def _came_up(told: Told, name: str, state: str) -> bool:
    return state == "pending" and any(tool.startswith(f"mcp__{name}__") for tool in told.tools)
