"""Proves that GitHub signed an identity token, for us, and that it counts now. Whom it names is judged in `claims`.

RS256 and nothing else, whatever the token's header says; the key comes from the issuer's published set alone. A header
that brings or names a key of its own is refused: GitHub writes none. Source: RFC 8725, sections 3.1, 3.10 and 3.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions._shared.endpoint import CallerNotProven

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from functions._shared.callers.keyset import KeySet

ALGORITHM = "RS256"
LEEWAY_SECONDS = 30
TOKEN_LIMIT_CHARACTERS = 8_192
KEY_ID_LIMIT_CHARACTERS = 200

# Checked with the signature; the rest of the claims is judged by their own tables. nbf counts where it is present.
SIGNED_FOR_US = ("iss", "aud", "exp", "iat")
TIMES = ("exp", "iat", "nbf")
# jku and its like say where a key is to be found; crit and b64 change how a signature is computed.
REFUSED_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64")


class IdentityNotAccepted(CallerNotProven):
    """The identity token is missing, or it is not one that GitHub signed for this function and that counts now."""

    default_code = "identity-not-accepted"


def not_accepted(reason: str) -> IdentityNotAccepted:
    """One answer for every reason: who forges tokens learns nothing. The reason is for our log."""
    return IdentityNotAccepted(
        fix="Ask GitHub for a fresh ID token with this function's exact audience, and send it as the Bearer token.",
        details={"reason": reason},
    )


@dataclass(frozen=True)
class Rule:
    """Whose tokens count, and for whom they must be: both exactly as written."""

    issuer: str
    audience: str


def verify_identity(authorization: str, rule: Rule, keys: KeySet[RSAPublicKey]) -> Mapping[str, Any]:
    """The signed claims behind a header `Bearer …`.

    Raises IdentityNotAccepted, or OutsideError when the issuer's keys cannot be had.
    """
    import jwt

    unverified_token = _bearer(authorization)
    key = keys.find(_key_id(unverified_token))
    if key is None:
        raise not_accepted("unknown-key")
    try:
        claims: Mapping[str, Any] = jwt.decode(
            unverified_token,
            key,
            algorithms=[ALGORITHM],
            audience=rule.audience,
            issuer=rule.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(SIGNED_FOR_US), "strict_aud": True, "verify_sub": False, "verify_jti": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise not_accepted(f"token: {type(error).__name__}") from error
    if any(type(claims[name]) is not int for name in TIMES if name in claims):
        raise not_accepted("times-not-numbers")
    return claims


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise not_accepted("no-bearer-token")
    if len(token) > TOKEN_LIMIT_CHARACTERS or not token.isascii():
        raise not_accepted("token-malformed")
    return token


def _key_id(unverified_token: str) -> str:
    import jwt

    try:
        header = jwt.get_unverified_header(unverified_token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise not_accepted("token-malformed") from error
    if header.get("alg") != ALGORITHM:
        raise not_accepted("algorithm")
    if any(name in header for name in REFUSED_HEADERS):
        raise not_accepted("key-in-header")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= KEY_ID_LIMIT_CHARACTERS:
        raise not_accepted("no-key-id")
    return kid
