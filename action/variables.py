"""Variables that a maintainer hands on: AICD_MCP_… to MCP servers, AICD_AGENT_… to the program of `agent: command`.

They come from the job's environment, or, where a workflow cannot set one for us, as lines `NAME=value` of a secret
input; the lines win. No problem quotes a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MCP_PREFIX, AGENT_PREFIX = "AICD_MCP_", "AICD_AGENT_"


@dataclass(frozen=True)
class Handed:
    """`mcp` by their whole names, `agent` by the names that the program sees."""

    mcp: Mapping[str, SecretStr]
    agent: Mapping[str, SecretStr]
    problems: tuple[str, ...] = ()


def read_handed(environment: Mapping[str, str], mcp_lines: str, agent_lines: str, inputs: Iterable[str]) -> Handed:
    """`inputs` are the variables of inputs, some of which begin like these and are none."""
    ours = frozenset(inputs)
    mcp, wrong_mcp = _read_lines("mcp-variables", mcp_lines)
    wrong_mcp += [
        f"input 'mcp-variables': {name} does not begin with {MCP_PREFIX}" for name in mcp if not _fits(name, MCP_PREFIX)
    ]
    agent, wrong_agent = _read_lines("agent-variables", agent_lines)
    agent = {**_from(environment, AGENT_PREFIX, ours, len(AGENT_PREFIX)), **agent}
    wrong_agent += [
        f"'{name}' cannot be handed to the agent: what begins with AICD_ is ours to set"
        for name in agent
        if name.startswith("AICD_")
    ]
    wrong_agent += [
        f"{AGENT_PREFIX}{name}: '{name}' is no variable's name" for name in agent if not NAME.fullmatch(name)
    ]
    return Handed({**_from(environment, MCP_PREFIX, ours), **mcp}, agent, (*wrong_mcp, *wrong_agent))


def _from(environment: Mapping[str, str], prefix: str, ours: frozenset[str], cut: int = 0) -> dict[str, SecretStr]:
    return {
        name[cut:]: SecretStr(value)
        for name, value in environment.items()
        if _fits(name, prefix) and name not in ours and value
    }


def _fits(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name != prefix


def _read_lines(input_name: str, text: str) -> tuple[dict[str, SecretStr], list[str]]:
    """Empty lines and those that begin with # say nothing; a value is everything behind the first equals sign."""
    found: dict[str, SecretStr] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        name, sign, value = line.strip().partition("=")
        if name.startswith("#") or not (name or sign):
            continue
        if not NAME.fullmatch(name) or not value:
            problems.append(f"input '{input_name}', line {number}: not of the form NAME=value")
        else:
            found[name] = SecretStr(value)
    return found, problems
