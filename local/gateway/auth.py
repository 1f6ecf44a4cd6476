"""/auth/v1: who a token belongs to, and the public keys. Nobody signs in here."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.gateway.errors import AuthError, RestError
from local.gateway.signing import Signer
from local.gateway.transaction import Gate


class AuthService:
    """Reads auth.users through a function that only the login role may call."""

    def __init__(self, gate: Gate, signer: Signer) -> None:
        self._gate = gate
        self._signer = signer

    async def user(self, request: Request) -> Response:
        """The account that the token's `sub` names, in the form of the official client's User."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            claims = self._signer.verify(token.strip())
        except RestError as error:
            message = f"invalid JWT: {error.body['message']}"
            raise AuthError(403, "bad_jwt", message) from error
        try:
            subject = uuid.UUID(str(claims.get("sub")))
        except ValueError as error:
            raise AuthError(403, "bad_jwt", "invalid claim: missing sub claim") from error
        rows = await self._gate.call_as_authenticator("select local_guard.find_user($1)", [str(subject)])
        if rows[0][0] is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        return JSONResponse(rows[0][0])

    async def jwks(self, _: Request) -> Response:
        return JSONResponse(self._signer.jwks(), headers={"Cache-Control": "public, max-age=600"})
