"""Whom a failed run's remedy is for, told to a requester, who has neither our documents nor a maintainer's rights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from functions._shared.notices.bounds import mapping

# What only whoever looks after the repository, its workflow and its secrets can mend.
MAINTAINERS = frozenset(
    {
        "anthropic-credit", "anthropic-key-refused", "claude-not-started", "id-token-refused", "mcp-config",
        "mcp-server-down", "model-unknown", "no-agent", "no-anthropic-key", "no-github-credential",
        "planner-not-configured", "shared-runner", "token-refused", "unknown-agent", "workflow-not-found",
        "workflow-refused",
    }
)  # fmt: skip
_FIX = " Fix: "
_DOCUMENT = re.compile(r"\s*\([^()]*\bdocs/[\w-]+\.md[^()]*\)|[:;,]\s+(?:as\s+)?docs/[\w-]+\.md[^.;:]*")


def say_why(summary: Mapping[str, Any], repository: str) -> str:
    """Why a run ended early, as the database (abandon_run_v1) or the runner wrote it, and who can do what about it."""
    told = mapping(summary.get("error")) or mapping(summary.get("failure"))
    message, _, written = str(told.get("message") or "").partition(_FIX)
    fix = _DOCUMENT.sub("", str(told.get("fix") or written)).strip()
    message = _DOCUMENT.sub("", message).strip()
    if told.get("code") not in MAINTAINERS:
        return f"{message} {fix}".strip()
    whose = f"The maintainer of {repository}" if repository else "The repository's maintainer"
    remedy = f" What has to be done: {fix}" if fix else ""
    return f"{message} {whose} has to mend this; send it again after that.{remedy}"
