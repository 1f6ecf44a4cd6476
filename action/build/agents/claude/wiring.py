"""From the action's inputs to a ready Claude agent."""

from __future__ import annotations

from pathlib import Path

from action.build.agents import Surroundings
from action.build.agents.claude.agent import ClaudeAgent, ClaudeSettings
from action.build.agents.claude.key import API
from action.build.mcpconfig import load_mcp_config
from action.settings import AgentInputs
from controlplane.errors import UsageError


def make_claude(inputs: AgentInputs, given: Surroundings) -> ClaudeAgent:
    """Raises UsageError where there is no key, Claude Code itself is missing, or `mcp-config` cannot be used."""
    key = given.credential
    if key is None:
        raise UsageError(
            "`agent: claude` needs `anthropic-api-key`, or `anthropic-federation-rule-id`.",
            "Hand the secret over in the workflow: a key of the Claude API, or a token from `claude setup-token`; "
            "docs/agents.md says how to do without one.",
            "no-anthropic-key",
        )
    # An identity that is refused is told of before anything is begun.
    key.headers()
    mcp = load_mcp_config(_located(inputs.mcp_config, given.root), given.mcp_variables)
    # Variables are known from the start; what is written out in the configuration is not.
    for value in mcp.secrets():
        given.keep_secret(value)
    settings = ClaudeSettings(
        key=key,
        ledger=given.ledger,
        cache_dir=given.cache_dir,
        desk=given.desk,
        mcp=mcp,
        model=inputs.builder_model,
        path=inputs.claude_path,
        prompt=given.prompt,
        upstream=given.upstream or API,
        tell=given.tell,
        say=given.say,
        redact=given.redact,
    )
    return ClaudeAgent(settings, given.session)


def _located(config: str, root: Path) -> str:
    """JSON as it is; a path from `root` on."""
    return config if not config.strip() or config.lstrip().startswith("{") else str(root / config.strip())
