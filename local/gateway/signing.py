"""Checking tokens: the callers' own, and the ones inside signed storage URLs."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from jwt.algorithms import ECAlgorithm
from pydantic import BaseModel, ConfigDict

from local.gateway.errors import RestError, StorageError
from local.gateway.keys import ALGORITHM, public_jwk

# PostgREST allows for clocks that differ by this much.
SKEW_SECONDS = 30
CACHED_TOKENS = 1024
CHALLENGE = {"WWW-Authenticate": "Bearer"}


class StorageToken(BaseModel):
    """What a signed storage URL stands for. `purpose` keeps a download token from being used for an upload."""

    model_config = ConfigDict(frozen=True)

    purpose: str
    # "bucket/key"
    url: str
    exp: int
    owner: str | None = None
    upsert: bool = False


class Signer:
    """Verifies with one private ES256 JWK."""

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        self._public = public_jwk(jwk)
        self._key = ECAlgorithm.from_jwk(self._public)
        # A key of its own: a storage token can never pass for a caller's token, nor the other way round.
        self._storage_key = hmac.new(str(jwk["d"]).encode(), b"storage-urls", hashlib.sha256).digest()
        self._verified: dict[str, dict[str, Any]] = {}

    def jwks(self) -> dict[str, Any]:
        """The public key set, as Auth publishes it."""
        return {"keys": [self._public]}

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a valid token. Raises RestError PGRST301 (not one of ours) or PGRST303 (not now)."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._check_signature(token)
            if len(self._verified) >= CACHED_TOKENS:
                self._verified.clear()
            self._verified[token] = claims
        _check_times(claims)
        return claims

    def sign_storage_url(self, token: StorageToken) -> str:
        return jwt.encode(token.model_dump(), self._storage_key, algorithm="HS256")

    def verify_storage_url(self, unverified_token: str, *, purpose: str, url: str) -> StorageToken:
        """The token of a signed URL, if it is for this purpose, this object, and not expired. Raises StorageError."""
        try:
            claims = jwt.decode(unverified_token, self._storage_key, algorithms=["HS256"], options={"require": ["exp"]})
            token = StorageToken.model_validate(claims)
        except jwt.ExpiredSignatureError as error:
            raise StorageError(400, "InvalidJWT", '"exp" claim timestamp check failed') from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise StorageError(400, "InvalidJWT", "signature verification failed") from error
        if token.purpose != purpose or token.url != url:
            raise StorageError(400, "InvalidSignature", "The url do not match the signature")
        return token

    def _check_signature(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("kid", self._public.get("kid")) != self._public.get("kid"):
                raise RestError(401, "PGRST301", "No suitable key or wrong key type", headers=CHALLENGE)
            # Times are checked on every use, and not only when the signature is.
            payload = jwt.api_jws.decode(token, self._key, algorithms=[ALGORITHM])  # type: ignore[arg-type]
            claims = json.loads(payload)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise RestError(401, "PGRST301", f"JWT could not be decoded: {error}", headers=CHALLENGE) from error
        if not isinstance(claims, dict):
            raise RestError(401, "PGRST303", "Parsing claims failed", headers=CHALLENGE)
        return claims


def _check_times(claims: Mapping[str, Any]) -> None:
    now = time.time()
    moments = {name: claims[name] for name in ("exp", "nbf", "iat") if claims.get(name) is not None}
    for name, value in moments.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RestError(401, "PGRST303", f"The JWT '{name}' claim must be a number", headers=CHALLENGE)
    if "exp" in moments and now > moments["exp"] + SKEW_SECONDS:
        raise RestError(401, "PGRST303", "JWT expired", headers=CHALLENGE)
    if "nbf" in moments and now < moments["nbf"] - SKEW_SECONDS:
        raise RestError(401, "PGRST303", "JWT not yet valid", headers=CHALLENGE)
    if "iat" in moments and now < moments["iat"] - SKEW_SECONDS:
        raise RestError(401, "PGRST303", "JWT issued at future", headers=CHALLENGE)
