"""Environment → settings. Read once per process, by entry points; everything else is handed what it needs.

Every problem is reported at once, so that an operator deploys twice and not seven times. Secrets are `Hidden`:
their repr, and so every log line, shows stars.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from controlplane.errors import AicdError
from controlplane.logs import hide_secret
from controlplane.secret import NO_SECRET, Hidden, Secret
from functions._shared.gmail.credentials import MailboxCredentials, read_credentials

GMAIL_API = "https://gmail.googleapis.com/"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a password
GOOGLE_CERTS_URL = "https://www.googleapis.com/oauth2/v1/certs"
GITHUB_API = "https://api.github.com"
TRUSTED_AUTHSERV_ID = "mx.google.com"
_REPOSITORY_OR_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(/[A-Za-z0-9._-]+)?")


class Misconfigured(AicdError):
    """This function's environment is incomplete; the operator must complete it."""

    default_code = "misconfigured"
    http_status = 500


class Environment:
    """Reads variables and remembers every problem; call `check` before using what was read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding space; required where there is no default."""
        value = self._values.get(name, "").strip() or default
        if not value:
            self._problems.append(f"{name} is not set")
        return value

    def optional(self, name: str) -> str:
        """The value without surrounding space; empty where it is not set."""
        return self._values.get(name, "").strip()

    def refuse(self, problem: str) -> None:
        """Remember a problem that the reader of several variables has found."""
        self._problems.append(problem)

    def secret(self, name: str) -> Secret:
        """A required secret; from now on no log line shows it."""
        value = self.text(name)
        hide_secret(value)
        return Hidden(value)

    def url(self, name: str, default: str = "") -> str:
        """An absolute http(s) address."""
        value = self.text(name, default)
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            self._problems.append(f"{name} is not an http(s) address")
        return value

    def seconds(self, name: str, default: int) -> int:
        """A positive whole number of seconds."""
        value = self.text(name, str(default))
        if not value.isdecimal() or not 0 < int(value) <= 10_000_000:
            self._problems.append(f"{name} is not a positive whole number of seconds")
            return default
        return int(value)

    def switch(self, name: str, *, default: bool) -> bool:
        """`on` or `off`, or else `true` or `false`."""
        value = self.text(name, "on" if default else "off").lower()
        if value not in ("on", "off", "true", "false"):
            self._problems.append(f"{name} is neither on nor off")
        return value in ("on", "true")

    def check(self) -> None:
        """Raise `Misconfigured`, naming every problem seen so far."""
        if self._problems:
            raise Misconfigured(
                f"The function's environment is incomplete: {'; '.join(self._problems)}.",
                fix="Set these variables on the deployed function; docs/deploy-functions.md lists them all.",
                details={"problems": list(self._problems)},
            )


@dataclass(frozen=True)
class SupabaseSettings:
    """Where the tables are, and the revocable token of role `aicd_functions`."""

    url: str
    publishable_key: str
    token: Secret

    @classmethod
    def read(cls, environment: Environment) -> SupabaseSettings:
        return cls(
            url=environment.url("SUPABASE_URL"),
            publishable_key=environment.text("SUPABASE_PUBLISHABLE_KEY"),
            token=environment.secret("AICD_FUNCTIONS_TOKEN"),
        )


@dataclass(frozen=True)
class GoogleSettings:
    """By what right the mailboxes are opened, and where Gmail is."""

    credentials: MailboxCredentials
    token_uri: str
    api_endpoint: str

    @classmethod
    def read(cls, environment: Environment) -> GoogleSettings:
        token_uri = environment.url("GOOGLE_TOKEN_URI", GOOGLE_TOKEN_URI)
        return cls(
            credentials=read_credentials(environment, token_uri),
            token_uri=token_uri,
            api_endpoint=environment.url("GMAIL_API_ENDPOINT", GMAIL_API),
        )


@dataclass(frozen=True)
class GitHubSettings:
    """What may start workflows: `actions: write` on the target repositories and nothing else.

    Of several the most exact one counts: a repository's own token, its owner's, the app where it is installed, the one
    for all. Names in `tokens` are in lower case.
    """

    api_url: str
    token: Secret = NO_SECRET
    tokens: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    app_id: str = ""
    app_private_key: Secret = NO_SECRET

    @classmethod
    def read(cls, environment: Environment) -> GitHubSettings:
        app_id, tokens = environment.optional("AICD_GITHUB_APP_ID"), _read_tokens(environment)
        stands_alone = bool(app_id or tokens) and not environment.optional("AICD_GITHUB_TOKEN")
        return cls(
            api_url=environment.url("GITHUB_API_URL", GITHUB_API),
            token=NO_SECRET if stands_alone else environment.secret("AICD_GITHUB_TOKEN"),
            tokens=tokens,
            app_id=app_id,
            app_private_key=_read_app_key(environment, app_id),
        )


def _read_tokens(environment: Environment) -> dict[str, Secret]:
    """AICD_GITHUB_TOKENS: `{"owner/name" or "owner": token}`. No problem quotes what was given."""
    given = environment.optional("AICD_GITHUB_TOKENS")
    if not given:
        return {}
    hide_secret(given)
    try:
        read = json.loads(given)
    except ValueError:
        read = None
    if not isinstance(read, dict) or not all(isinstance(value, str) and value.strip() for value in read.values()):
        environment.refuse('AICD_GITHUB_TOKENS is no JSON object of the form {"owner/name": "token"}')
        return {}
    for name, value in read.items():
        hide_secret(value.strip())
        if not _REPOSITORY_OR_OWNER.fullmatch(name):
            environment.refuse(f"AICD_GITHUB_TOKENS: {name!r} is neither owner/name nor owner")
    return {name.lower(): Hidden(value.strip()) for name, value in read.items()}


def _read_app_key(environment: Environment, app_id: str) -> Secret:
    """PEM; line breaks may be written as \\n, because many ways to set a variable lose them."""
    key = environment.optional("AICD_GITHUB_APP_PRIVATE_KEY").replace("\\n", "\n")
    if bool(app_id) != bool(key):
        environment.refuse("AICD_GITHUB_APP_ID and AICD_GITHUB_APP_PRIVATE_KEY belong together")
    elif key and not key.startswith("-----BEGIN "):
        environment.refuse("AICD_GITHUB_APP_PRIVATE_KEY is no private key in PEM")
    for line in [key, *key.splitlines()[1:-1]]:
        hide_secret(line)
    return Hidden(key)


@dataclass(frozen=True)
class CallerSettings:
    """Whose Google ID token a function believes: one exact audience, one exact service account.

    `platform_verifies`: the service is closed by Google's IAM, which checks each token and takes its signature away
    before we see it (AICD_PLATFORM_VERIFIES_CALLERS). Never for a service that `allUsers` may invoke.
    """

    audience: str
    service_account: str
    certs_url: str
    platform_verifies: bool = False

    @classmethod
    def read(cls, environment: Environment, prefix: str) -> CallerSettings:
        """`prefix` is AICD_PUSH or AICD_SCHEDULER."""
        return cls(
            audience=environment.text(f"{prefix}_AUDIENCE"),
            service_account=environment.text(f"{prefix}_SERVICE_ACCOUNT"),
            certs_url=environment.url("GOOGLE_CERTS_URL", GOOGLE_CERTS_URL),
            platform_verifies=environment.switch("AICD_PLATFORM_VERIFIES_CALLERS", default=False),
        )
