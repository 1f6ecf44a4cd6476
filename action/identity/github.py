"""Asks GitHub for an ID token of this job. Every call gets a new one, and each serves for one exchange.

Source: docs.github.com/actions/reference/security/oidc, "Using custom actions".
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from pydantic import SecretStr

from controlplane.errors import CallerError, OutsideError

TIMEOUT_SECONDS = 10.0
PERMISSION = "Give the job `permissions: id-token: write`, or set `{instead}`."


class IdentityRefused(CallerError):
    """GitHub gives this job no ID token."""

    default_code = "id-token-refused"


@dataclass(frozen=True)
class IdentityService:
    """What the runner tells a job whose permissions hold `id-token: write`. `instead`: the input that does without."""

    url: str
    request_token: SecretStr
    instead: str = "supabase-token"

    def fetch(self, audience: str) -> str:
        """A new ID token for this audience, a secret. Raises OutsideError, or IdentityRefused for good."""
        import httpx

        asked = f"{self.url}{'&' if '?' in self.url else '?'}audience={quote(audience, safe='')}"
        headers = {"Authorization": f"bearer {self.request_token.get_secret_value()}", "Accept": "application/json"}
        try:
            answer = httpx.get(asked, headers=headers, timeout=TIMEOUT_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unavailable(type(error).__name__) from error
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            fix = PERMISSION.format(instead=self.instead)
            raise IdentityRefused(f"GitHub gives this job no ID token (HTTP {answer.status_code}).", fix)
        if answer.status_code != httpx.codes.OK:
            raise _unavailable(f"HTTP {answer.status_code}")
        try:
            value = answer.json()["value"]
        except (ValueError, KeyError, TypeError) as error:
            raise _unavailable("its answer could not be read") from error
        if not isinstance(value, str) or not value:
            raise _unavailable("its answer holds no token")
        return value


def _unavailable(reason: str) -> OutsideError:
    return OutsideError(
        f"GitHub's ID token could not be fetched: {reason}.",
        "Try again; see githubstatus.com when it lasts.",
        "id-token-unavailable",
    )
