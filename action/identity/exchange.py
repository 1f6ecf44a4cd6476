"""The exchange at `token-url`: an ID token of this job for a token of this run."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from action.identity.github import IdentityService
from controlplane.errors import CallerError, OutsideError
from controlplane.noun import Noun
from controlplane.store.outcomes import parse_retry_after

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 15.0
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
MESSAGE_LIMIT = 500
# Dispatch writes down which workflow run it started a moment after that run may have begun.
NOT_BOUND, BINDING_SECONDS = "run-not-bound", 5.0


class TokenRefused(CallerError):
    """runner-token gives this job no token for that run."""

    default_code = "token-refused"


class RunTokenAnswer(Noun):
    """What runner-token answers. `scope`: build, publish or both halves of the run."""

    token: SecretStr = Field(repr=False)
    expires_at: datetime.datetime
    run_id: str
    scope: str


@dataclass(frozen=True)
class Exchange:
    """`keep_secret` is told every secret before it is used, so that no log shows it."""

    url: str
    run_id: str
    service: IdentityService
    keep_secret: Callable[[str], None]

    def __call__(self) -> RunTokenAnswer:
        """A fresh token. Raises OutsideError, after which another try has a new ID token, TokenRefused or
        IdentityRefused."""
        import httpx

        identity = self.service.fetch(audience_of(self.url))
        self.keep_secret(identity)
        headers = {"Authorization": f"Bearer {identity}"}
        try:
            answer = httpx.post(self.url, json={"run_id": self.run_id}, headers=headers, timeout=TIMEOUT_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unavailable(type(error).__name__) from error
        if answer.status_code != httpx.codes.OK:
            raise _refusal(answer)
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> RunTokenAnswer:
        try:
            given = RunTokenAnswer.model_validate(answer.json()["data"])
        except (ValueError, KeyError, TypeError) as error:  # a ValidationError is a ValueError; it may quote the token
            raise _unavailable("its answer could not be read") from error
        self.keep_secret(given.token.get_secret_value())
        if given.run_id.lower() != self.run_id.lower():
            raise _unavailable("its answer is for another run")
        return given


def audience_of(url: str) -> str:
    """runner-token's origin, without a slash at its end: what its AICD_RUNNER_TOKEN_AUDIENCE must be."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _refusal(answer: httpx.Response) -> Exception:
    code, message = _error_of(answer)
    if code == NOT_BOUND:
        return OutsideError(message, code=code, details={"retry_after_seconds": BINDING_SECONDS})
    if answer.status_code == TOO_MANY_REQUESTS or answer.status_code >= SERVER_ERROR:
        wait = parse_retry_after(answer.headers.get("retry-after"))
        return _unavailable(f"HTTP {answer.status_code}{f', {code}' if code else ''}", wait)
    message = message or f"runner-token refused with HTTP {answer.status_code}."
    fix = "" if "Fix: " in message else "Check `token-url`; docs/tokens.md lists what a run trusts."
    return TokenRefused(message, fix, code)


def _error_of(answer: httpx.Response) -> tuple[str, str]:
    """The envelope's first error, empty where the answer is none of ours."""
    try:
        error: Any = answer.json()["errors"][0]
        return str(error["code"])[:100], " ".join(str(error["message"]).split())[:MESSAGE_LIMIT]
    except (ValueError, KeyError, TypeError, IndexError):
        return "", ""


def _unavailable(reason: str, retry_after_seconds: float | None = None) -> OutsideError:
    return OutsideError(
        f"The run's token could not be exchanged at `token-url`: {reason}.",
        "Try again; if it lasts, check `token-url` and runner-token's log.",
        "token-exchange-unavailable",
        {"retry_after_seconds": retry_after_seconds},
    )
