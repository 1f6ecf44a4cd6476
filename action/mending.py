"""What a person can do about a failure that the world outside caused, by its code: the same whoever met it.

Trying again helps once it is done, so what was built until then is kept for the run that goes on.
"""

from __future__ import annotations

FIXES = {
    "anthropic-key-refused": (
        "Set the secret behind `anthropic-api-key` to a live key of the Claude API, or look in the console whether the "
        "rule of `anthropic-federation-rule-id` still lets this job in."
    ),
    "anthropic-credit": "Add credit in the Claude console, then try again.",
    "model-unknown": "Set `planner-model` and `builder-model` to models that the key may use, or leave them blank.",
    "claude-not-started": "See the agent's log among the artifacts; `claude-path` names another Claude Code.",
    "claude-unavailable": "Try again later.",
    "claude-unreachable": "Check the runner's network and ANTHROPIC_BASE_URL, then try again.",
    "mcp-server-down": "Start the server, or write `required: false` beside it in `mcp-config` (docs/mcp.md).",
}
# Failures of the world, not of the work: trying again later may help.
OUTSIDE = ("claude-unavailable", "claude-unreachable", "mcp-server-down")
