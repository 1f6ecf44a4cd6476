"""What proves us to the Messages API: a key, or a subscription's token. Neither is ever handed to the agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

Kind = Literal["api-key", "oauth"]
API = "https://api.anthropic.com"


@dataclass(frozen=True)
class ClaudeKey:
    """`kind` decides how it is sent, and which variable the agent's throw-away one goes by."""

    kind: Kind
    secret: SecretStr = field(repr=False)

    @property
    def variable(self) -> str:
        return "ANTHROPIC_API_KEY" if self.kind == "api-key" else "CLAUDE_CODE_OAUTH_TOKEN"

    def headers(self) -> dict[str, str]:
        """The header by which our proxy proves itself."""
        value = self.secret.get_secret_value()
        return {"x-api-key": value} if self.kind == "api-key" else {"authorization": f"Bearer {value}"}
