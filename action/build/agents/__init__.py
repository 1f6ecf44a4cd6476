"""Who can build. A new kind of agent is a new file here and one line in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from action.build.agents.command import CommandAgent, CommandSettings
from action.build.agents.files import FilesAgent
from action.build.agents.none import NoneAgent
from action.build.agents.seam import Agent
from action.money import Ledger
from action.settings import AgentInputs
from controlplane.errors import UsageError
from controlplane.spec import Spec

if TYPE_CHECKING:
    from action.build.agents.claude.key import Credential
    from action.build.agents.claude.session import Session
    from action.toolserver.rundesk import RunDesk


@dataclass(frozen=True)
class Surroundings:
    """What an agent may need of the run. `root` is the folder that paths in inputs are relative to; `keep_secret` is
    told what `redact` has to know from then on."""

    cache_dir: Path
    ledger: Ledger
    root: Path = field(default_factory=Path)
    credential: Credential | None = None
    desk: RunDesk | None = None
    session: Session | None = None
    upstream: str = ""
    prompt: str = ""
    mcp_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    agent_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    tell: Callable[[str], None] = field(default=lambda _: None)
    say: Callable[[str], None] = field(default=lambda _: None)
    redact: Callable[[str], str] = str
    keep_secret: Callable[[str], None] = field(default=lambda _: None)


def choose_agent(inputs: AgentInputs, spec: Spec, given: Surroundings) -> Agent:
    """The agent that was asked for; without a wish, `agent-command`, the spec's own files, or Claude where something
    proves us to it. Raises UsageError when nothing is there to build with.
    """
    fallback = "claude" if given.credential else ""
    name = inputs.agent or ("command" if inputs.agent_command else "files" if spec.files else fallback)
    if not name:
        raise UsageError(
            "No agent is configured, and the specification brings no files of its own.",
            "Set `anthropic-api-key`, or `agent: command` with `agent-command`, or put `files` into the specification.",
            "no-agent",
        )
    if name not in AGENTS:
        raise UsageError(f"There is no agent '{name}'.", f"Use one of: {', '.join(AGENTS)}.", "unknown-agent")
    return AGENTS[name](inputs, spec, given)


def _claude(inputs: AgentInputs, _spec: Spec, given: Surroundings) -> Agent:
    # Late: it brings an HTTP client and the tool server along, which no other agent needs.
    from action.build.agents.claude.wiring import make_claude

    return make_claude(inputs, given)


def _command(inputs: AgentInputs, _spec: Spec, given: Surroundings) -> Agent:
    settings = CommandSettings(
        variables=given.agent_variables,
        desk=given.desk,
        redact=given.redact,
        has_budget=given.ledger.left() is not None,
    )
    return CommandAgent(inputs.agent_command, given.cache_dir, settings)


AGENTS: dict[str, Callable[[AgentInputs, Spec, Surroundings], Agent]] = {
    "claude": _claude,
    "files": lambda _inputs, spec, _given: FilesAgent(spec.files),
    "command": _command,
    "none": lambda _inputs, _spec, _given: NoneAgent(),
}
