"""Free ports: the Supabase CLI's own numbers when they are free, the next free ones otherwise."""

from __future__ import annotations

import socket

from controlplane.errors import OutsideError

# Name → the number a user of the Supabase CLI expects, or the one right behind them.
PREFERRED = {
    "api": 54321,
    "db": 54322,
    "google": 54331,
    "github": 54332,
    "anthropic": 54333,
    "gmail-push": 54341,
    "dispatch": 54342,
    "notify": 54343,
    "tick": 54344,
    "health": 54345,
    "runner-token": 54346,
    "specs": 54347,
    "webhook": 54348,
    "github-webhook": 54349,
    "mcp": 54350,
}
SEARCH = 400


def choose_ports(*, fixed: bool) -> dict[str, int]:
    """A port for each part. `fixed` tries the known numbers first; otherwise the system picks, for parallel stacks."""
    chosen: dict[str, int] = {}
    for name, preferred in PREFERRED.items():
        chosen[name] = _next_free(preferred, set(chosen.values())) if fixed else _any_free(set(chosen.values()))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server of ours could listen there now. Another process may take it a moment later."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _next_free(first: int, taken: set[int]) -> int:
    for port in range(first, first + SEARCH):
        if port not in taken and port not in set(PREFERRED.values()) - {first} and is_free(port):
            return port
    raise OutsideError(f"No free port between {first} and {first + SEARCH} on 127.0.0.1.", fix="Stop what holds them.")


def _any_free(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
