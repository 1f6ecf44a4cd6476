"""From headers to a role with claims, by the rules of Supabase's gateway and of PostgREST.

`apikey` opens the door. It is one of two opaque keys, or the older form of the same two, a token of role anon or
service_role; a caller's token never is. `Authorization` says who is calling; an opaque key there counts only as a
repetition of `apikey`. Without a token the key's own role applies.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from local.gateway.errors import KeyRefusedError, RestError
from local.gateway.settings import GatewaySettings
from local.gateway.signing import CHALLENGE, Signer

ANON = "anon"
SERVICE = "service_role"
OPAQUE_PREFIX = "sb_"


class Identity(BaseModel):
    """The role a request runs as, and what current_setting('request.jwt.claims') shows."""

    model_config = ConfigDict(frozen=True)

    role: str
    claims: dict[str, Any]

    @property
    def is_anonymous(self) -> bool:
        return self.role == ANON

    @property
    def subject(self) -> str | None:
        """The `sub` claim: who owns what is uploaded."""
        subject = self.claims.get("sub")
        return subject if isinstance(subject, str) else None

    @property
    def claims_json(self) -> str:
        return json.dumps(self.claims, separators=(",", ":"))


SERVICE_IDENTITY = Identity(role=SERVICE, claims={"role": SERVICE})


def identify(headers: Mapping[str, str], settings: GatewaySettings, signer: Signer) -> Identity:
    """Raises KeyRefusedError for the key, RestError for the token."""
    key_role = _role_of_key(headers, settings, signer)
    token = _bearer_token(headers)
    if token is None:
        return Identity(role=key_role, claims={"iss": "supabase", "role": key_role})
    claims = signer.verify(token)
    role = claims.get("role", ANON)
    # "none" would be understood by SET ROLE as "back to the login role".
    if not isinstance(role, str) or role in ("", "none", "authenticator"):
        raise RestError(401, "PGRST303", "The JWT 'role' claim must name a role of the API", headers=CHALLENGE)
    return Identity(role=role, claims=claims)


def _role_of_key(headers: Mapping[str, str], settings: GatewaySettings, signer: Signer) -> str:
    key = headers.get("apikey", "")
    if not key:
        raise KeyRefusedError("No API key found in request", "No `apikey` request header was found.")
    if _same(key, settings.secret_key):
        if "mozilla" in headers.get("user-agent", "").lower():
            raise KeyRefusedError("Forbidden use of secret API key in browser", "Use the publishable key there.")
        return SERVICE
    if _same(key, settings.publishable_key):
        return ANON
    role = _role_of_token_key(key, signer)
    if role is None:
        raise KeyRefusedError("Invalid API key", "Use the publishable or the secret key; a user's token is no API key.")
    return role


def _role_of_token_key(key: str, signer: Signer) -> str | None:
    """The role of an API key in its older form, ANON_KEY or SERVICE_ROLE_KEY; None for any other token."""
    try:
        claims = signer.verify(key)
    except RestError:
        return None
    role = claims.get("role")
    return role if role in (ANON, SERVICE) and "sub" not in claims else None


def _bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of `Authorization`, None when there is none or it repeats the key."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        return None
    value = value.strip()
    if not value.startswith(OPAQUE_PREFIX):
        return value
    if _same(value, headers.get("apikey", "")):
        return None
    raise KeyRefusedError("Invalid API key", "The key in `Authorization` is not the one in `apikey`.")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
