"""Google's identity: certificates, OAuth's refresh grant, access tokens, and ID tokens good and bad."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from local.doubles.exchange import Call, Match, RefusedCall
from local.doubles.google.discovery import DiscoveryContract
from local.doubles.google.nouns import Account
from local.doubles.journal import Journal
from local.doubles.signing import Signing, SigningKey
from local.doubles.validation import Problems

ISSUER = "https://accounts.google.com"
TOKEN_SECONDS = 3599
GMAIL_SCOPES = tuple(f"https://www.googleapis.com/auth/gmail.{name}" for name in ("readonly", "send", "modify"))
_REQUIRED = {"grant_type", "client_id", "client_secret", "refresh_token"}


class TokenRefusedError(Exception):
    """OAuth says no (RFC 6749 section 5.2): `code` is its error code."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.status = status


class Identity:
    """Who is who. Access tokens carry their own proof, so they outlive a restart."""

    def __init__(self, journal: Journal, key: SigningKey, problems: Problems, now_ms: Callable[[], int]) -> None:
        self.key = key
        self._journal = journal
        self._accounts = journal.collection("accounts", Account)
        self._problems = problems
        self._now_ms = now_ms
        self._secret = key.derive_secret("access tokens")

    def open_account(self, email: str, scopes: tuple[str, ...] = GMAIL_SCOPES, *, revoked: bool = False) -> Account:
        """The grant on one address; the same one each time, so that set-ups may be repeated."""
        with self._journal.transaction():
            found = self._accounts.get(email.lower())
            fresh = Account(
                email=email.lower(),
                client_id=f"{secrets.randbelow(10**12)}-aicd.apps.googleusercontent.com",
                client_secret=f"GOCSPX-{secrets.token_urlsafe(21)}",
                refresh_token=f"1//{secrets.token_urlsafe(48)}",
                scopes=scopes,
            )
            kept = (found or fresh).model_copy(update={"scopes": scopes, "revoked": revoked})
            return self._accounts.put(kept.email, kept)

    def only_account(self) -> Account | None:
        """The account when there is exactly one."""
        accounts = self._accounts.values()
        return accounts[0] if len(accounts) == 1 else None

    def find_account(self, email: str) -> Account | None:
        """The account with this address."""
        return self._accounts.get(email.lower())

    def read_form(self, call: Call) -> dict[str, str]:
        """The fields of a request to `POST /token`. Raises TokenRefusedError."""
        if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            self._refuse("the token request must be form-encoded")
        return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))

    def refresh(self, form: dict[str, str]) -> dict[str, Any]:
        """The answer for a refresh token (RFC 6749 section 6). Raises TokenRefusedError."""
        if unknown := form.keys() - _REQUIRED - {"scope"}:
            self._refuse(f"unknown parameters: {', '.join(sorted(unknown))}")
        if missing := _REQUIRED - form.keys():
            self._refuse(f"Missing required parameter: {', '.join(sorted(missing))}")
        if form["grant_type"] != "refresh_token":
            raise TokenRefusedError("unsupported_grant_type", f"Invalid grant_type: {form['grant_type']}")
        account = self._account_of(form)
        scopes = tuple(form["scope"].split()) if form.get("scope") else account.scopes
        if not set(scopes) <= set(account.scopes):
            raise TokenRefusedError("invalid_scope", "Some requested scopes were not granted.")
        return self.token_answer(account, scopes)

    def token_answer(self, account: Account, scopes: tuple[str, ...]) -> dict[str, Any]:
        """RFC 6749 section 5.1, with an access token for the account in these scopes."""
        token = self._access_token(account, scopes)
        answer = {"access_token": token, "expires_in": TOKEN_SECONDS, "scope": " ".join(scopes)}
        return answer | {"token_type": "Bearer"}

    def authorise(self, call: Call, match: Match, contract: DiscoveryContract) -> str:
        """The address that the call acts for. Raises RefusedCall 401 or 403 as Google does."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        email, scopes = self._open_token(token) if scheme.lower() == "bearer" else (None, frozenset[str]())
        if email is None:
            raise RefusedCall(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token.",
                headers={"www-authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'},
            )
        if not scopes & contract.methods[match.operation].scopes:
            raise RefusedCall(403, "Request had insufficient authentication scopes.", reason="insufficientPermissions")
        user = match.path.get("userId", "me").lower()
        if user not in ("me", email):
            raise RefusedCall(403, f"Delegation denied for {email}")
        return email

    def id_token(
        self,
        audience: str,
        email: str,
        claims: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        signing: Signing = "good",
    ) -> str:
        """An ID token as Google signs it for a service account; claims given as None are left out."""
        now = int(time.time())
        subject = str(int(hashlib.sha256(email.encode()).hexdigest()[:16], 16)).zfill(21)[:21]
        usual = {"aud": audience, "azp": subject, "email": email, "email_verified": True, "exp": now + 3600}
        return self.key.mint(usual | {"iat": now, "iss": ISSUER, "sub": subject} | (claims or {}), header, signing)

    def _account_of(self, form: dict[str, str]) -> Account:
        for account in self._accounts.values():
            if hmac.compare_digest(account.refresh_token.encode(), form["refresh_token"].encode()):
                if (account.client_id, account.client_secret) != (form["client_id"], form["client_secret"]):
                    raise TokenRefusedError("invalid_client", "The OAuth client was not found.", 401)
                if account.revoked:
                    break
                return account
        raise TokenRefusedError("invalid_grant", "Token has been expired or revoked.")

    def _access_token(self, account: Account, scopes: tuple[str, ...]) -> str:
        expires = self._now_ms() // 1000 + TOKEN_SECONDS
        claim = f"{account.email}|{expires}|{' '.join(scopes)}".encode().hex()
        return f"ya29.{claim}.{self._proof(claim)}"

    def _open_token(self, token: str) -> tuple[str | None, frozenset[str]]:
        _, _, rest = token.partition("ya29.")
        claim, _, proof = rest.partition(".")
        if not claim or not hmac.compare_digest(proof.encode(), self._proof(claim).encode()):
            return None, frozenset()
        email, expires, scopes = bytes.fromhex(claim).decode().split("|")
        account = self._accounts.get(email)
        if int(expires) < self._now_ms() // 1000 or account is None or account.revoked:
            return None, frozenset()
        return email, frozenset(scopes.split())

    def _proof(self, claim: str) -> str:
        return hmac.new(self._secret, claim.encode(), hashlib.sha256).hexdigest()

    def _refuse(self, description: str) -> None:
        self._problems.record("request", "POST /token", [description])
        raise TokenRefusedError("invalid_request", description)
