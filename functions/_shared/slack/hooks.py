"""Which channel hears of which repository.

| variable | holds |
|---|---|
| `AICD_SLACK_WEBHOOK_URL` | the incoming webhook for every repository that has none of its own |
| `AICD_SLACK_WEBHOOKS` | JSON `{"owner/repo": "https://hooks.slack.com/…"}`; an empty text keeps a repository silent |

Whoever has such an address may write in the channel, so it is a secret: not in a project's policy, which members read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from controlplane.logs import hide_secret
from controlplane.secret import NO_SECRET, Hidden, Secret
from functions._shared.loopback import is_loopback

if TYPE_CHECKING:
    from functions._shared.settings import Environment


@dataclass(frozen=True)
class SlackHooks:
    """`named` is by the repository in lower case; an empty address is nobody's."""

    everywhere: Secret = NO_SECRET
    named: Mapping[str, Secret] = field(default_factory=dict)

    def of(self, repo: str) -> Secret | None:
        """The address for this repository; None where nobody is to hear of it."""
        hook = self.named.get(repo.lower(), self.everywhere)
        return hook if hook.get_secret_value() else None


def read_slack_hooks(environment: Environment) -> SlackHooks:
    """What is wrong with an address is told by `check`, without any part of it."""
    everywhere = environment.optional("AICD_SLACK_WEBHOOK_URL")
    if everywhere and not _is_hook(everywhere):
        environment.refuse("AICD_SLACK_WEBHOOK_URL is no https address")
    named = _read_named(environment)
    return SlackHooks(_secret(everywhere), {repo.strip().lower(): _secret(hook) for repo, hook in named.items()})


def _read_named(environment: Environment) -> dict[str, str]:
    written = environment.optional("AICD_SLACK_WEBHOOKS")
    if not written:
        return {}
    try:
        named = json.loads(written)
    except (ValueError, RecursionError):
        named = None
    if not isinstance(named, dict) or not all(hook == "" or _is_hook(hook) for hook in named.values()):
        environment.refuse('AICD_SLACK_WEBHOOKS is no JSON object of the form {"owner/repo": "https://…"}')
        return {}
    return named


def _is_hook(address: object) -> bool:
    """An https address in ASCII without user or fragment; http on this machine only."""
    if not isinstance(address, str) or not all("!" <= sign <= "~" for sign in address):
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def _secret(address: str) -> Secret:
    hide_secret(address)
    hide_secret(urlsplit(address).path)
    return Hidden(address)
