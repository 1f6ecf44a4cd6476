"""The configuration as the agent's program reads it, our own server with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from action.build.mcpconfig.servers import OWN_NAME, McpConfig, McpServer
from action.build.mcpconfig.states import ServerState


def render_cli_config(
    config: McpConfig, own: Mapping[str, Any] | None = None, states: Iterable[ServerState] = ()
) -> str:
    """JSON for `--mcp-config`. It holds secrets: write it for the agent's user alone, outside the repository.

    Servers that `states` found dead are left out: the agent's program would only wait for them.
    """
    dead = {state.name for state in states if not state.is_up}
    servers = {server.name: _entry(server) for server in config.servers if server.name not in dead}
    if own is not None:
        servers[OWN_NAME] = dict(own)
    return json.dumps({"mcpServers": servers}, indent=1, ensure_ascii=False)


def allowed_tools(config: McpConfig) -> tuple[str, ...]:
    """For `--allowedTools`: all of a server's tools, or those that its entry names; all of our own."""
    allowed: list[str] = [f"mcp__{OWN_NAME}"]
    for server in config.servers:
        prefix = f"mcp__{server.name}"
        allowed += [f"{prefix}__{tool}" for tool in server.tools] or [prefix]
    return tuple(allowed)


def _entry(server: McpServer) -> dict[str, Any]:
    if server.type == "stdio":
        env = {name: value.get_secret_value() for name, value in server.env.items()}
        return {"type": "stdio", "command": server.command, "args": list(server.args), "env": env}
    headers = {name: value.get_secret_value() for name, value in server.headers.items()}
    return {"type": server.type, "url": server.url, "headers": headers}
