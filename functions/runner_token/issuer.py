"""Fetches the issuer's keys: its discovery document, then the key set that this one names.

Source: OpenID Connect Discovery 1.0, section 4; RFC 7517. Where a token says that its keys are is never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from controlplane.errors import OutsideError
from functions._shared.callers.published import fetch_object

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LEAST_KEY_BITS = 2_048


def fetch_keys(issuer: str) -> dict[str, RSAPublicKey]:
    """Every usable RS256 key by its id. Raises OutsideError when the issuer does not answer as it should."""
    discovery = fetch_object(f"{issuer.rstrip('/')}/.well-known/openid-configuration", _unusable)
    if discovery.get("issuer") != issuer:
        raise _unusable("its discovery document is another issuer's")
    address = str(discovery.get("jwks_uri", ""))
    if urlsplit(address)[:2] != urlsplit(issuer)[:2]:
        raise _unusable("its keys are said to be on another host")
    return read_keys(fetch_object(address, _unusable))


def read_keys(document: Mapping[str, Any]) -> dict[str, RSAPublicKey]:
    """The key set's RSA signing keys that have an id; whatever else it holds is passed over."""
    listed = document.get("keys")
    found = {}
    for jwk in listed if isinstance(listed, list) else []:
        key = _rsa_key(jwk) if isinstance(jwk, dict) else None
        if key is not None:
            found[str(jwk["kid"])] = key
    return found


def _rsa_key(jwk: Mapping[str, Any]) -> RSAPublicKey | None:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt.algorithms import RSAAlgorithm
    from jwt.exceptions import InvalidKeyError

    if jwk.get("kty") != "RSA" or not isinstance(jwk.get("kid"), str) or not jwk["kid"]:
        return None
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", "RS256") != "RS256":
        return None
    try:
        key = RSAAlgorithm.from_jwk({name: jwk[name] for name in ("kty", "n", "e")})
    except (InvalidKeyError, KeyError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= LEAST_KEY_BITS else None


def _unusable(reason: str) -> OutsideError:
    return OutsideError(
        f"The OIDC issuer's keys cannot be fetched: {reason}.",
        fix="Check GITHUB_OIDC_ISSUER and the function's way out to the internet.",
        code="keys-unavailable",
    )
