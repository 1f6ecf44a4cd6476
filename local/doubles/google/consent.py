"""OAuth's consent for an installed application: the page where a person agrees, and the code that is traded for tokens.

RFC 6749 section 4.1, RFC 7636 (PKCE), RFC 8252 (loopback redirect); developers.google.com/identity/protocols/oauth2/
native-app. The person of the double agrees at once, to all or to part of what is asked, or refuses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from local.doubles.exchange import Call
from local.doubles.google.identity import Identity, TokenRefusedError
from local.doubles.google.nouns import Account

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Person:
    """Who sits before the page. `scopes` None: agrees to all that is asked."""

    email: str = ""
    agrees: bool = True
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Code:
    """What a code stands for. It is traded once, by whoever knows the verifier."""

    account: Account
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    is_offline: bool


class PageError(Exception):
    """Google shows this on a page of its own and sends nobody back: a wrong client or redirect."""


class Consent:
    """The page at /o/oauth2/v2/auth and the grant type authorization_code."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._codes: dict[str, Code] = {}
        self._lock = threading.Lock()
        self.person = Person()

    def agree(self, call: Call) -> str:
        """The address that the browser is sent to. Raises PageError."""
        given = dict(call.query)
        redirect, scopes = given.get("redirect_uri", ""), tuple(given.get("scope", "").split())
        account = self._account(given)
        if urlsplit(redirect).hostname not in LOOPBACK or urlsplit(redirect).scheme != "http":
            raise PageError("Error 400: redirect_uri_mismatch")
        if given.get("response_type") != "code" or not scopes:
            raise PageError("Error 400: invalid_request")
        if given.get("code_challenge") and given.get("code_challenge_method") != "S256":
            raise PageError("Error 400: invalid_request (code_challenge_method)")
        state = {"state": given["state"]} if "state" in given else {}
        if not self.person.agrees:
            return _with_query(redirect, {"error": "access_denied", **state})
        granted = scopes if self.person.scopes is None else tuple(one for one in scopes if one in self.person.scopes)
        code = f"4/{secrets.token_urlsafe(32)}"
        with self._lock:
            self._codes[code] = Code(
                account, granted, redirect, given.get("code_challenge", ""), given.get("access_type") == "offline"
            )
        return _with_query(redirect, {**state, "code": code, "scope": " ".join(granted)})

    def redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The tokens for a code. Raises TokenRefusedError."""
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)
        if code is None:
            raise TokenRefusedError("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise TokenRefusedError("redirect_uri_mismatch", "Bad Request")
        if (form.get("client_id"), form.get("client_secret")) != (code.account.client_id, code.account.client_secret):
            raise TokenRefusedError("invalid_client", "The OAuth client was not found.", 401)
        if not _fits(form.get("code_verifier", ""), code.challenge):
            raise TokenRefusedError("invalid_grant", "Invalid code verifier.")
        account = self._identity.open_account(code.account.email, code.scopes)
        refresh = {"refresh_token": account.refresh_token} if code.is_offline else {}
        return self._identity.token_answer(account, code.scopes) | refresh

    def _account(self, given: Mapping[str, str]) -> Account:
        """The person's account, opened for this client. Raises PageError for a client that no account knows."""
        email = self.person.email or given.get("login_hint", "")
        account = self._identity.find_account(email) if email else self._identity.only_account()
        if account is None or given.get("client_id") != account.client_id:
            raise PageError("Error 401: invalid_client")
        return account


def _fits(verifier: str, challenge: str) -> bool:
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return not challenge or hmac.compare_digest(digest, challenge)


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"
