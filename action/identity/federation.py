"""Workload identity for Claude: this job's identity token for an access token of minutes, and again before that ends.

https://platform.claude.com/docs/en/manage-claude/wif-reference
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from action.identity.github import IdentityService
from controlplane.errors import AicdError, CallerError, NotAllowed, OutsideError

if TYPE_CHECKING:
    from anthropic.lib.credentials import AccessToken, TokenCache, WorkloadIdentityError

    from action.settings import ClaudeInputs, Settings

# What a token of this kind needs, on every call that it is carried by.
BEARER_BETA = "oauth-2025-04-20"
HISTORY = "https://platform.claude.com/settings/workload-identity-federation?tab=history"
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500


@dataclass(frozen=True)
class JobIdentity:
    """Where this job's identity token comes from: a file that the runner keeps fresh, else GitHub, for one audience."""

    file: Path | None
    service: IdentityService
    audience: str

    @classmethod
    def of(cls, settings: Settings) -> JobIdentity:
        github = settings.github
        service = IdentityService(github.id_token_url, github.id_token_request_token, "anthropic-api-key")
        return cls(settings.identity_file, service, settings.claude.anthropic_identity_audience)

    def fetch(self) -> str:
        """A secret. Raises OutsideError, IdentityRefused, or CallerError about the file."""
        if self.file is None:
            return self.service.fetch(self.audience)
        try:
            token = self.file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise _no_file(type(error).__name__) from error
        if not token:
            raise _no_file("it is empty")
        return token


class FederatedKey:
    """A Credential (action/build/agents/claude/key.py) in memory only. Work paid for like a key's, so the agent's
    program is told of a key. Safe to use from several threads."""

    variable = "ANTHROPIC_API_KEY"

    def __init__(self, who: ClaudeInputs, identity: JobIdentity, url: str, keep_secret: Callable[[str], None]) -> None:
        self._who = who
        self._identity = identity
        self._url = url
        self._keep_secret = keep_secret
        self._opening = threading.Lock()
        self._tokens: TokenCache | None = None
        self._newest = ""

    def headers(self, beta: str = "") -> dict[str, str]:
        return bearer_headers(self._token(), beta)

    def renew(self, refused: Mapping[str, str]) -> bool:
        """The API ends a token before its time where the rule behind it is changed."""
        if refused.get("authorization") == f"Bearer {self._newest}":
            self._open().invalidate()
        return True

    def sdk_options(self) -> dict[str, Any]:
        return {"credentials": self._answer_sdk}

    def _answer_sdk(self, *, force_refresh: bool = False) -> AccessToken:
        from anthropic.lib.credentials import AccessToken

        if force_refresh:
            self._open().invalidate()
        # 0: never kept by the client, which so asks us each time.
        return AccessToken(token=self._token(), expires_at=0)

    def _token(self) -> str:
        tokens = self._open()
        from anthropic import AnthropicError
        from anthropic.lib.credentials import WorkloadIdentityError

        try:
            return tokens.get_token()
        except WorkloadIdentityError as error:
            raise _refusal(error, self._who) from error
        except AnthropicError as error:
            raise (error.__cause__ if isinstance(error.__cause__, AicdError) else _unavailable("")) from error

    def _open(self) -> TokenCache:
        """The SDK's own cache: it renews two minutes before the end, and half a minute before it at all costs."""
        with self._opening:
            if self._tokens is None:
                self._tokens = self._build()
            return self._tokens

    def _build(self) -> TokenCache:
        try:
            from anthropic.lib.credentials import TokenCache, WorkloadIdentityCredentials
        except ImportError as error:
            raise CallerError(
                "The package `anthropic`, by which this job proves its identity, is not installed on this runner.",
                "Install requirements/agent.txt in the environment that AICD_PYTHON names, or leave AICD_PYTHON unset.",
                "claude-package-missing",
            ) from error
        credentials = WorkloadIdentityCredentials(
            identity_token_provider=self._fetch,
            federation_rule_id=self._who.anthropic_federation_rule_id,
            organization_id=self._who.anthropic_organization_id,
            service_account_id=self._who.anthropic_service_account_id or None,
            workspace_id=self._who.anthropic_workspace_id or None,
        )
        credentials.bind_base_url(self._url)

        def exchange(*, force_refresh: bool = False) -> AccessToken:
            given = credentials(force_refresh=force_refresh)
            self._keep_secret(given.token)
            self._newest = given.token
            return given

        return TokenCache(exchange)

    def _fetch(self) -> str:
        from anthropic import AnthropicError

        try:
            token = self._identity.fetch()
        except AicdError as error:
            # In the words that the cache knows, so that it goes on with a token that still lives.
            raise AnthropicError(error.message) from error
        self._keep_secret(token)
        return token


def bearer_headers(token: str, beta: str = "") -> dict[str, str]:
    """A token that is no key goes as a bearer, with the flag that lets it in beside those that are there."""
    flags = [flag.strip() for flag in beta.split(",") if flag.strip()]
    wanted = flags if BEARER_BETA in flags else [*flags, BEARER_BETA]
    return {"authorization": f"Bearer {token}", "anthropic-beta": ",".join(wanted)}


def _refusal(error: WorkloadIdentityError, who: ClaudeInputs) -> AicdError:
    """The API never says which condition of a rule was not met, so the fix names all of them."""
    status, said = error.status_code, str(error.body or "")
    if status is None or status < 400 or status == TOO_MANY_REQUESTS or status >= SERVER_ERROR:
        return _unavailable(f" (HTTP {status}, request {error.request_id or 'unknown'})" if status else "")
    told = (
        f"Claude gave no access token for this job's identity (HTTP {status}, request {error.request_id or 'unknown'})."
    )
    if "workspace_id_required" in said:
        fix = "The rule is for several workspaces: set `anthropic-workspace-id`."
        return NotAllowed(told, fix, "claude-identity-refused")
    fix = (
        f"Check that {who.anthropic_federation_rule_id} belongs to `anthropic-organization-id`, and that its audience "
        f"is {who.anthropic_identity_audience} and its subject or claims are this job's (repository, environment); "
        f"{HISTORY} shows what did not fit."
    )
    return NotAllowed(told, fix, "claude-identity-refused")


def _unavailable(detail: str) -> OutsideError:
    return OutsideError(
        f"This job's identity could not be exchanged at the Claude API{detail}.",
        "Try again; if it lasts, check the runner's network and `anthropic-base-url`.",
        "claude-identity-unavailable",
    )


def _no_file(reason: str) -> CallerError:
    return CallerError(
        f"The identity token in ANTHROPIC_IDENTITY_TOKEN_FILE could not be read ({reason}).",
        "Let the variable name a file that holds a fresh token, or unset it to use GitHub's.",
        "identity-file-unreadable",
    )
