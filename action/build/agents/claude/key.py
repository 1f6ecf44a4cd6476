"""What proves us to the Claude API: a key, a subscription's token, or this job's identity. None of them is ever handed
to the agent; `credential_of` is the one place that tells which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import SecretStr

from action.identity.federation import FederatedKey, JobIdentity, bearer_headers
from action.settings import Settings

Kind = Literal["api-key", "oauth"]
API = "https://api.anthropic.com"
# A subscription's token is told from an API key by its beginning.
SUBSCRIPTION_PREFIX = "sk-ant-oat"


class Credential(Protocol):
    """`variable` is what the agent's throw-away token goes by."""

    @property
    def variable(self) -> str: ...

    def headers(self, beta: str = "") -> dict[str, str]:
        """What a request has to carry; `beta` is the `anthropic-beta` that it carries already. Asked for each request,
        because what it holds may have been renewed. Raises AicdError where there is nothing to carry any more."""
        ...

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Whether a request that was refused with these headers may have others now."""
        ...

    def sdk_options(self) -> dict[str, Any]:
        """The same for the client of the package `anthropic`."""
        ...


@dataclass(frozen=True)
class ClaudeKey:
    """A secret that stays as it is. `kind` decides how it is sent."""

    kind: Kind
    secret: SecretStr = field(repr=False)

    @property
    def variable(self) -> str:
        return "ANTHROPIC_API_KEY" if self.kind == "api-key" else "CLAUDE_CODE_OAUTH_TOKEN"

    def headers(self, beta: str = "") -> dict[str, str]:
        value = self.secret.get_secret_value()
        return {"x-api-key": value} if self.kind == "api-key" else bearer_headers(value, beta)

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the Protocol's
        return False

    def sdk_options(self) -> dict[str, Any]:
        value = self.secret.get_secret_value()
        if self.kind == "api-key":
            return {"api_key": value}
        sent = bearer_headers(value)
        return {"auth_token": value, "default_headers": {"anthropic-beta": sent["anthropic-beta"]}}


def credential_of(settings: Settings, keep_secret: Callable[[str], None]) -> Credential | None:
    """None where the workflow gave nothing. Nothing is exchanged before it is used; `keep_secret` is told of every
    token that comes then."""
    key = settings.agent.anthropic_api_key
    if key.get_secret_value():
        return ClaudeKey("oauth" if key.get_secret_value().startswith(SUBSCRIPTION_PREFIX) else "api-key", key)
    if settings.claude.is_federated:
        return FederatedKey(settings.claude, JobIdentity.of(settings), settings.claude_url or API, keep_secret)
    return None
