"""Service accounts that act for the users of a domain: the grant type jwt-bearer (RFC 7523).

developers.google.com/identity/protocols/oauth2/service-account: the assertion is signed by the account's own key, names
the user in `sub`, and an administrator has granted its client the scopes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.doubles.google.identity import GMAIL_SCOPES, Identity, TokenRefusedError
from local.doubles.google.nouns import ServiceAccount
from local.doubles.journal import Journal

# What google-auth writes, wherever it sends the assertion to.
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST_SECONDS = 3600
UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the "
    "scopes requested."
)


class Delegations:
    """Keys that were made here, and what they were granted."""

    def __init__(self, journal: Journal, identity: Identity) -> None:
        self._journal = journal
        self._accounts = journal.collection("service_accounts", ServiceAccount)
        self._identity = identity

    def create(self, client_email: str, scopes: tuple[str, ...] = GMAIL_SCOPES) -> dict[str, str]:
        """The JSON key as Google hands it out, without its token_uri. The private half is kept nowhere."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with self._journal.transaction():
            self._accounts.put(
                client_email,
                ServiceAccount(client_email=client_email, public_key=public.decode(), scopes=scopes),
            )
        return {
            "type": "service_account",
            "project_id": "aicd-local",
            "private_key_id": secrets.token_hex(20),
            "private_key": private,
            "client_email": client_email,
            "client_id": str(secrets.randbelow(10**21)),
        }

    def redeem(self, form: Mapping[str, str], token_uri: str) -> dict[str, Any]:
        """An access token for the user that the assertion names. Raises TokenRefusedError."""
        assertion = form.get("assertion", "")
        known = self._known(assertion)
        claims = _read(assertion, known, token_uri)
        scopes = tuple(str(claims.get("scope", "")).split())
        if not scopes or not set(scopes) <= set(known.scopes):
            raise TokenRefusedError("unauthorized_client", UNAUTHORIZED, 401)
        account = self._identity.find_account(str(claims.get("sub", "")))
        if account is None:
            raise TokenRefusedError("invalid_grant", "Invalid email or User ID")
        return self._identity.token_answer(account, scopes)

    def _known(self, assertion: str) -> ServiceAccount:
        try:
            issuer = str(jwt.decode(assertion, options={"verify_signature": False}).get("iss", ""))
        except jwt.PyJWTError:
            raise TokenRefusedError("invalid_grant", "Invalid JWT: cannot be parsed.") from None
        known = self._accounts.get(issuer)
        if known is None:
            raise TokenRefusedError("invalid_grant", "Invalid grant: account not found")
        return known


def _read(assertion: str, known: ServiceAccount, token_uri: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            known.public_key,
            algorithms=["RS256"],
            audience=[token_uri, AUDIENCE],
            options={"require": ["iss", "aud", "iat", "exp"]},
        )
    except jwt.PyJWTError:
        raise TokenRefusedError("invalid_grant", "Invalid JWT Signature.") from None
    if claims["exp"] - claims["iat"] > LONGEST_SECONDS:
        raise TokenRefusedError("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)")
    return claims
