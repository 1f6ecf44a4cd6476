"""Who can build. A new kind of agent is a new file here and one line in the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from action.build.agents.command import CommandAgent
from action.build.agents.files import FilesAgent
from action.build.agents.none import NoneAgent
from action.build.agents.seam import Agent
from action.settings import AgentInputs
from controlplane.errors import UsageError
from controlplane.spec import Spec

AGENTS: dict[str, Callable[[AgentInputs, Spec, Path], Agent]] = {
    "files": lambda _inputs, spec, _cache: FilesAgent(spec.files),
    "command": lambda inputs, _spec, cache: CommandAgent(inputs.agent_command, cache),
    "none": lambda _inputs, _spec, _cache: NoneAgent(),
}


def choose_agent(inputs: AgentInputs, spec: Spec, cache_dir: Path) -> Agent:
    """The agent that was asked for; without a wish, the spec's own files when it brings any.

    Raises UsageError when nothing is there to build with.
    """
    name = inputs.agent or ("command" if inputs.agent_command else "files" if spec.files else "")
    if not name:
        raise UsageError(
            "No agent is configured, and the specification brings no files of its own.",
            "Set `agent: command` with `agent-command`, or put `files` into the specification.",
            "no-agent",
        )
    if name not in AGENTS:
        raise UsageError(f"There is no agent '{name}'.", f"Use one of: {', '.join(AGENTS)}.", "unknown-agent")
    return AGENTS[name](inputs, spec, cache_dir)
