"""A notice told in a channel: whether it is, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.secret import Secret
from functions._shared.notices.bounds import mapping
from functions._shared.notices.notice import read_announcement
from functions._shared.outbox.drain import Lease
from functions._shared.slack.hooks import SlackHooks
from functions._shared.slack.message import TOLD, compose_message
from functions._shared.slack.post import post_message

# What copy_notice_v1 calls it.
CHANNEL = "slack"


def find_hook(description: Mapping[str, Any], hooks: SlackHooks) -> Secret | None:
    """Where this notice is told; None where it is not."""
    repo = mapping(description.get("spec")).get("repo")
    return hooks.of(str(repo or "")) if description.get("template") in TOLD else None


def tell_channel(outbox_id: str, description: Mapping[str, Any], lease: Lease, hooks: SlackHooks) -> dict[str, Any]:
    """Raises whatever must be tried again."""
    hook = find_hook(description, hooks)
    if hook is None:  # the setting was taken away while the row waited
        return {"outcome": "not-configured", "channel": CHANNEL}
    message = compose_message(read_announcement(outbox_id, description))
    lease.require()
    post_message(hook, message)
    return {"outcome": "sent", "channel": CHANNEL, "template": description["template"]}
