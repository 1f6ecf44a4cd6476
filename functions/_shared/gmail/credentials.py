"""By what right a mailbox is opened: its owner's refresh token, or a service account that acts for the whole domain.

| variable | holds |
|---|---|
| `GMAIL_CLIENT_ID`, `GMAIL_CLIENT_SECRET` | the OAuth client that the refresh tokens were granted to |
| `GMAIL_REFRESH_TOKEN` | the one mailbox's token |
| `GMAIL_REFRESH_TOKENS` | several mailboxes: JSON `{"mailbox": "token"}` |
| `GMAIL_SERVICE_ACCOUNT` | the JSON key of a service account with domain-wide delegation |
| `GMAIL_DELEGATED_DOMAINS` | the domains that it acts for, separated by commas; every domain, if not said |

In place of a token may stand an object with `refresh_token`, `client_id` and `client_secret`: one of another OAuth
client. A mailbox's own token comes first, then the service account, then the one token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlplane.logs import hide_secret
from controlplane.secret import NO_SECRET, Hidden, Secret
from functions._shared.gmail.errors import MailboxUnusable

if TYPE_CHECKING:
    from functions._shared.settings import Environment

# The smallest that read raw mail and answer it; gmail.metadata cannot read, gmail.modify could do more.
SCOPES = ("https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send")
GRANT_FIELDS = {"refresh_token", "client_id", "client_secret"}
KEY_FIELDS = ("client_email", "private_key", "token_uri")


@dataclass(frozen=True)
class Grant:
    """What the owner of a mailbox agreed to. Whose mailbox it opens is known to Google alone, so it is looked up."""

    client_id: str
    client_secret: Secret
    refresh_token: Secret
    token_uri: str

    names_mailbox = False

    def open(self, _email: str) -> Any:
        """google-auth's credentials; nothing is sent yet."""
        from google.oauth2.credentials import Credentials

        return Credentials(  # type: ignore[no-untyped-call]
            token=None,
            refresh_token=self.refresh_token.get_secret_value(),
            token_uri=self.token_uri,
            client_id=self.client_id,
            client_secret=self.client_secret.get_secret_value(),
        )


@dataclass(frozen=True)
class Delegation:
    """A service account that an administrator of the domain lets act for its users, in these two scopes only."""

    key: Secret
    token_uri: str

    names_mailbox = True

    def open(self, email: str) -> Any:
        """google-auth's credentials for this user of the domain. Raises MailboxUnusable for a key that is none."""
        from google.oauth2 import service_account

        info = {**json.loads(self.key.get_secret_value()), "token_uri": self.token_uri}
        try:
            return service_account.Credentials.from_service_account_info(info, scopes=SCOPES, subject=email)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise MailboxUnusable(
                "GMAIL_SERVICE_ACCOUNT holds a private key that cannot be read.",
                fix="Store the JSON file as Google made it, unchanged.",
                code="gmail-credentials",
            ) from error


@dataclass(frozen=True)
class MailboxCredentials:
    """All that this deployment has. `domains` empty: the service account acts for every mailbox."""

    named: Mapping[str, Grant] = field(default_factory=dict)
    delegation: Delegation | None = None
    domains: frozenset[str] = frozenset()
    single: Grant | None = None

    def of(self, email: str) -> Grant | Delegation:
        """Raises MailboxUnusable where there is nothing for this mailbox."""
        mailbox = email.lower()
        own = self.named.get(mailbox)
        if own is not None:
            return own
        if self.delegation is not None and (not self.domains or mailbox.rpartition("@")[2] in self.domains):
            return self.delegation
        if self.single is not None:
            return self.single
        raise MailboxUnusable(
            f"There are no credentials for the mailbox {mailbox}.",
            fix=f"Run `aicd gmail authorize --mailbox {mailbox}` and add what it prints to GMAIL_REFRESH_TOKENS.",
            code="gmail-no-credentials",
        )


def read_credentials(environment: Environment, token_uri: str) -> MailboxCredentials:
    """Everything that was given; problems are remembered with the environment."""
    tokens = _read_tokens(environment)
    single = environment.optional("GMAIL_REFRESH_TOKEN")
    delegation = _read_delegation(environment)
    client: tuple[str, Secret] = ("", NO_SECRET)
    if single or any(isinstance(token, str) for token in tokens.values()) or not (tokens or delegation):
        client = (environment.text("GMAIL_CLIENT_ID"), environment.secret("GMAIL_CLIENT_SECRET"))
        if not tokens and not single:
            environment.refuse("GMAIL_REFRESH_TOKEN is not set (nor GMAIL_REFRESH_TOKENS or GMAIL_SERVICE_ACCOUNT)")
    domains = environment.optional("GMAIL_DELEGATED_DOMAINS").lower().split(",")
    return MailboxCredentials(
        named={mailbox: _grant(token, client, token_uri) for mailbox, token in tokens.items()},
        delegation=delegation,
        domains=frozenset(domain.strip() for domain in domains if domain.strip()),
        single=_grant(single, client, token_uri) if single else None,
    )


def _grant(token: str | dict[str, str], client: tuple[str, Secret], token_uri: str) -> Grant:
    if isinstance(token, str):
        return Grant(*client, _secret(token.strip()), token_uri)
    return Grant(token["client_id"], _secret(token["client_secret"]), _secret(token["refresh_token"]), token_uri)


def _read_tokens(environment: Environment) -> dict[str, str | dict[str, str]]:
    written = environment.optional("GMAIL_REFRESH_TOKENS")
    if not written:
        return {}
    try:
        tokens = json.loads(written)
    except (ValueError, RecursionError):
        tokens = None
    if not isinstance(tokens, dict) or not all(map(_is_token, tokens.values())):
        environment.refuse('GMAIL_REFRESH_TOKENS is no JSON object of the form {"mailbox": "token"}')
        return {}
    return {mailbox.strip().lower(): token for mailbox, token in tokens.items()}


def _is_token(written: Any) -> bool:
    if isinstance(written, dict):
        return written.keys() == GRANT_FIELDS and all(isinstance(one, str) and one for one in written.values())
    return isinstance(written, str) and bool(written)


def _read_delegation(environment: Environment) -> Delegation | None:
    written = environment.optional("GMAIL_SERVICE_ACCOUNT")
    if not written:
        return None
    try:
        key = json.loads(written)
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, dict) or not all(isinstance(key.get(name), str) and key[name] for name in KEY_FIELDS):
        environment.refuse(f"GMAIL_SERVICE_ACCOUNT is no JSON key of a service account ({', '.join(KEY_FIELDS)})")
        return None
    hide_secret(key["private_key"])
    return Delegation(_secret(written), environment.url("GOOGLE_TOKEN_URI", key["token_uri"]))


def _secret(value: str) -> Secret:
    hide_secret(value)
    return Hidden(value)
