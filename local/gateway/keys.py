"""Making signing keys and tokens, for the embedded stack and for tests."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ALGORITHM = "ES256"


def generate_signing_jwk() -> dict[str, Any]:
    """A new private P-256 key in the form that `supabase gen signing-key` prints."""
    private = ec.generate_private_key(ec.SECP256R1())
    jwk: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(private))
    return jwk | {"kid": str(uuid.uuid4()), "alg": ALGORITHM, "use": "sig", "key_ops": ["sign", "verify"], "ext": True}


def public_jwk(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The half that may be shown."""
    public = {name: jwk[name] for name in ("kty", "crv", "x", "y", "kid", "alg", "use", "ext") if name in jwk}
    return public | {"key_ops": ["verify"]}


def mint_jwt(jwk: Mapping[str, Any], claims: Mapping[str, Any], ttl_seconds: int) -> str:
    """A token with `claims`, issued now; a negative `ttl_seconds` makes one that has expired."""
    now = int(time.time())
    key = ECAlgorithm.from_jwk(dict(jwk))
    headers = {"kid": jwk["kid"]} if "kid" in jwk else None
    return jwt.encode({"iat": now, "exp": now + ttl_seconds, **claims}, key, algorithm=ALGORITHM, headers=headers)  # type: ignore[arg-type]


def generate_opaque_key(kind: str) -> str:
    """An API key in Supabase's present form; `kind` is "publishable" or "secret"."""
    return f"sb_{kind}_{secrets.token_urlsafe(24)}"
