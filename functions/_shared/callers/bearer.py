"""The token of an Authorization header, of whatever kind it is."""

from __future__ import annotations

from collections.abc import Callable

from functions._shared.endpoint import CallerNotProven

TOKEN_LIMIT_CHARACTERS = 8_192


def read_bearer(authorization: str, refuse: Callable[[str], CallerNotProven]) -> str:
    """Unverified. `refuse` makes the error of a reason: no-bearer-token, token-malformed."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise refuse("no-bearer-token")
    if len(token) > TOKEN_LIMIT_CHARACTERS or not token.isascii():
        raise refuse("token-malformed")
    return token
