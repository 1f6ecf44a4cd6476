"""Minting our role tokens: ES256 JWTs that Supabase accepts because the key was imported there.

Whoever holds the signing key can mint any role, so it stays with the operator and, in the cloud, with `runner-token`.
What a token may do is decided by the database alone: each verb checks role, scope and whether the token still lives.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from controlplane.errors import CallerError
from controlplane.noun import Noun
from controlplane.secret import Secret

Role = Literal["aicd_functions", "aicd_runner"]
Scope = Literal["build", "publish"]

ALGORITHM = "ES256"
LONGEST_SECONDS = 366 * 24 * 3600


class BadSigningKey(CallerError):
    """The signing key is not a private ES256 JWK with a key id."""

    default_code = "bad-signing-key"


class MintedToken(Noun):
    """A token and what is needed to revoke it. `token` is a secret; `jti` is not."""

    token: str = Field(repr=False)
    jti: str
    expires_at: datetime


def mint_token(
    jwk: Mapping[str, Any],
    role: Role,
    ttl_seconds: int,
    *,
    name: str = "",
    project_id: str | None = None,
    run_id: str | None = None,
    spec_id: str | None = None,
    scope: Scope | None = None,
    jti: str | None = None,
) -> MintedToken:
    """Sign a token of one of our roles. `name` is for people who read audit logs.

    `sub` is a uuid: policies that ask auth.uid() fail on anything else. A caller that writes the token down before it
    exists chooses its `jti`. Raises BadSigningKey, or CallerError for claims that no verb would accept.
    """
    import jwt

    _require_sense(role, ttl_seconds, project_id)
    now = int(time.time())
    claims: dict[str, Any] = {
        "role": role,
        "jti": jti or str(uuid.uuid4()),
        "sub": str(uuid.uuid4()),
        "iat": now,
        "exp": now + ttl_seconds,
    }
    optional = {"name": name or None, "project_id": project_id, "run_id": run_id, "spec_id": spec_id, "scope": scope}
    claims |= {claim: value for claim, value in optional.items() if value is not None}
    token = jwt.encode(claims, _private_key(jwk), algorithm=ALGORITHM, headers={"kid": jwk["kid"], "typ": "JWT"})
    return MintedToken(token=token, jti=claims["jti"], expires_at=datetime.fromtimestamp(claims["exp"], tz=UTC))


def parse_signing_key(text: str | Secret) -> dict[str, Any]:
    """The first key of a JWK, a JWK set or the list that `supabase gen signing-key` writes. Raises BadSigningKey."""
    import json

    raw = text if isinstance(text, str) else text.get_secret_value()
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise BadSigningKey("The signing key is not JSON.", fix=_FIX) from error
    if isinstance(document, dict) and "keys" in document:
        document = document["keys"]
    if isinstance(document, list):
        document = document[0] if document else None
    if not isinstance(document, dict):
        raise BadSigningKey("The signing key is not a JWK.", fix=_FIX)
    _private_key(document)
    return document


_FIX = "Make one with: supabase gen signing-key --algorithm ES256, and import it in the project's JWT signing keys."


def _require_sense(role: Role, ttl_seconds: int, project_id: str | None) -> None:
    if not 0 < ttl_seconds <= LONGEST_SECONDS:
        raise CallerError(
            "A token lives between one second and 366 days.", fix="Choose a shorter --ttl.", code="bad-ttl"
        )
    if role == "aicd_runner" and project_id is None:
        raise CallerError(
            "A runner's token must name its project: without one no verb accepts it.",
            fix="Give --project UUID.",
            code="project-missing",
        )


def _private_key(jwk: Mapping[str, Any]) -> Any:
    from jwt.algorithms import ECAlgorithm

    missing = [member for member in ("kid", "kty", "crv", "x", "y", "d") if not jwk.get(member)]
    if missing or jwk.get("crv") != "P-256":
        problem = f"it lacks {', '.join(missing)}" if missing else "its curve is not P-256"
        raise BadSigningKey(f"This is not a private ES256 JWK: {problem}.", fix=_FIX)
    try:
        return ECAlgorithm.from_jwk({name: jwk[name] for name in ("kty", "crv", "x", "y", "d")})
    except Exception as error:  # any failure of the parser means the same here, and its text could quote the key
        raise BadSigningKey("The JWK's numbers are not a P-256 key.", fix=_FIX) from error
