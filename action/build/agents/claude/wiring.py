"""From the action's inputs to a ready Claude agent."""

from __future__ import annotations

from pathlib import Path

from action.build.agents import Surroundings
from action.build.agents.claude.agent import ClaudeAgent, ClaudeSettings
from action.build.agents.claude.key import API, ClaudeKey
from action.build.mcpconfig import load_mcp_config
from action.plan.claude import SUBSCRIPTION_PREFIX
from action.settings import AgentInputs
from controlplane.errors import UsageError


def make_claude(inputs: AgentInputs, given: Surroundings) -> ClaudeAgent:
    """Raises UsageError where the key or Claude Code itself is missing, or `mcp-config` cannot be used."""
    secret = inputs.anthropic_api_key
    if not secret.get_secret_value():
        raise UsageError(
            "`agent: claude` needs `anthropic-api-key`.",
            "Hand the secret over in the workflow: a key of the Claude API, or a token from `claude setup-token`.",
            "no-anthropic-key",
        )
    is_subscription = secret.get_secret_value().startswith(SUBSCRIPTION_PREFIX)
    settings = ClaudeSettings(
        key=ClaudeKey("oauth" if is_subscription else "api-key", secret),
        ledger=given.ledger,
        cache_dir=given.cache_dir,
        desk=given.desk,
        mcp=load_mcp_config(_located(inputs.mcp_config, given.root), given.mcp_variables),
        model=inputs.builder_model,
        path=inputs.claude_path,
        upstream=given.upstream or API,
        tell=given.tell,
        say=given.say,
        redact=given.redact,
    )
    return ClaudeAgent(settings, given.session)


def _located(config: str, root: Path) -> str:
    """JSON as it is; a path from `root` on."""
    return config if not config.strip() or config.lstrip().startswith("{") else str(root / config.strip())
