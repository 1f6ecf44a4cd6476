"""Whether the configured servers live, asked before the agent starts: at once for all, each within its own time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from action.build.mcpconfig.probe_http import Refused, TooLate, probe_address
from action.build.mcpconfig.probe_stdio import Silent, probe_program
from action.build.mcpconfig.servers import McpConfig, McpServer
from action.build.mcpconfig.states import ServerState, Status
from action.build.mcpconfig.wire import NoMcp
from action.verify.sandbox import Cell
from controlplane.errors import OutsideError


def probe(
    config: McpConfig, cell: Cell, folder: Path, environment: Mapping[str, str] | None = None
) -> tuple[ServerState, ...]:
    """One state for each server, in order; never raises for what a server does.

    Programs run in `cell` and work in `folder`. They are given its PATH, HOME and the like, proxies and certificates of
    `environment` (ours, if not told) and their own `env`, nothing else; none of them is alive afterwards.
    """
    if not config.servers:
        return ()
    given = os.environ if environment is None else environment
    try:
        with ThreadPoolExecutor(len(config.servers), thread_name_prefix="mcp-probe") as pool:
            return tuple(pool.map(lambda server: _ask(server, cell, folder, given), config.servers))
    finally:
        cell.end()


def check_required(states: Iterable[ServerState]) -> None:
    """Raises OutsideError `mcp-server-down` that names every required server that does not answer."""
    down = [state for state in states if state.required and not state.is_up]
    if down:
        said = "; ".join(f"'{state.name}' {state.reason}" for state in down)
        fixes = " ".join(dict.fromkeys(state.fix for state in down if state.fix))
        raise OutsideError(
            f"A required MCP server cannot be used: {said}.",
            f'{fixes} Or write `"required": false` for it.'.strip(),
            "mcp-server-down",
        )


def _ask(server: McpServer, cell: Cell, folder: Path, environment: Mapping[str, str]) -> ServerState:
    began = time.monotonic()
    status: Status = "failed"
    reason = fix = version = ""
    tools: tuple[str, ...] = ()
    try:
        if server.type == "stdio":
            version, tools = probe_program(server, cell, folder, environment)
        else:
            version, tools = probe_address(server)
        status, reason = _judge_tools(server, tools)
        fix = "Correct its `tools`." if reason else ""
    except (TooLate, Silent, httpx.TimeoutException):
        status, reason = "timed-out", f"did not answer within {server.timeout_seconds:g} seconds"
        fix = "Start it, or raise its `timeout_seconds`."
    except Refused:
        status, reason = "refused", "does not accept our credentials"
        fix = "Correct its `headers` and the secrets that they name."
    except NoMcp as error:
        reason, fix = f"is no MCP server we can use: {error}", _fix(server)
    except FileNotFoundError:
        reason, fix = f"cannot be started: `{server.command}` is not installed", "Install it before this step."
    except (OSError, ValueError):
        reason = f"cannot be started: `{server.command}` is no program that the agent's user can run"
        fix = "Correct its `command`, or install it where every user can come to."
    except httpx.HTTPError:
        reason, fix = "cannot be reached", _fix(server)
    seconds = round(time.monotonic() - began, 3)
    return ServerState(
        name=server.name,
        type=server.type,
        required=server.required,
        status=status,
        reason=reason,
        fix=fix,
        version=version,
        tools=tools,
        seconds=seconds,
    )


def _judge_tools(server: McpServer, tools: tuple[str, ...]) -> tuple[Status, str]:
    missing = [name for name in server.tools if name not in tools] if server.type != "sse" else []
    if missing:
        return "failed", f"has no tool {', '.join(missing[:5])}"
    return "connected", ""


def _fix(server: McpServer) -> str:
    if server.type == "stdio":
        return "Start it by hand with the same command and arguments; it must speak MCP on its output."
    if "archon" in server.name.lower():
        return (
            "Archon V1 serves MCP at http://HOST:8051/mcp (branch archive/v1-task-management-rag); today's Archon has "
            "no MCP server. If it hangs, end it with SIGKILL and start it anew."
        )
    return "Look whether it runs, and whether its `url` is the one of its MCP endpoint (often ending in /mcp)."
