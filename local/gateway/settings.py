"""What the gateway needs to know, read from the environment once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from controlplane.errors import CallerError

REQUIRED = (
    "AICD_GATEWAY_PORT",
    "AICD_GATEWAY_DSN",
    "AICD_GATEWAY_STORAGE_DIR",
    "AICD_GATEWAY_PUBLISHABLE_KEY",
    "AICD_GATEWAY_SECRET_KEY",
    "AICD_GATEWAY_SIGNING_JWK",
)


class GatewaySettings(BaseModel):
    """Frozen; keys and addresses with passwords stay out of `repr`."""

    model_config = ConfigDict(frozen=True)

    port: int
    # The role `authenticator`: it owns nothing and may only become the API's roles.
    dsn: str = Field(repr=False)
    storage_dir: Path
    publishable_key: str = Field(repr=False)
    secret_key: str = Field(repr=False)
    # Private ES256 key as a JWK; its public half is what /auth/v1/.well-known/jwks.json shows.
    signing_jwk: dict[str, Any] = Field(repr=False)
    public_url: str
    # Supabase's own defaults: the cap of one response, of one upload, and the life of a signed upload URL.
    max_rows: int = 1000
    max_body_bytes: int = 50 * 1024 * 1024
    signed_upload_seconds: int = 7200


def read_settings(environment: Mapping[str, str]) -> GatewaySettings:
    """Raises CallerError that names every missing or unreadable variable at once."""
    problems = [f"{name} is not set" for name in REQUIRED if not environment.get(name)]
    port = environment.get("AICD_GATEWAY_PORT", "")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        problems.append("AICD_GATEWAY_PORT is not a port number")
    jwk = _parse_jwk(environment.get("AICD_GATEWAY_SIGNING_JWK", "{}"))
    if jwk is None:
        problems.append("AICD_GATEWAY_SIGNING_JWK is not the JSON of a private ES256 key")
    if problems or jwk is None:
        raise CallerError(
            message=f"The gateway cannot start: {'; '.join(problems)}.",
            fix="set the variables; `aicd up` does it for you",
            code="gateway-settings",
        )
    return GatewaySettings(
        port=int(port),
        dsn=environment["AICD_GATEWAY_DSN"],
        storage_dir=Path(environment["AICD_GATEWAY_STORAGE_DIR"]),
        publishable_key=environment["AICD_GATEWAY_PUBLISHABLE_KEY"],
        secret_key=environment["AICD_GATEWAY_SECRET_KEY"],
        signing_jwk=jwk,
        public_url=environment.get("AICD_GATEWAY_PUBLIC_URL") or f"http://127.0.0.1:{port}",
    )


def _parse_jwk(text: str) -> dict[str, Any] | None:
    try:
        jwk = json.loads(text)
    except ValueError:
        return None
    is_ours = isinstance(jwk, dict) and (not jwk or {"kty", "crv", "x", "y", "d"} <= jwk.keys())
    return jwk if is_ours else None
