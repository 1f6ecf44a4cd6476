"""runner-token's entry point: environment → settings → the wired function. The only one that holds the signing key."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from controlplane.logs import hide_secret
from controlplane.tokens import BadSigningKey, mint_token, parse_signing_key
from functions._shared.callers.keyset import KeySet
from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.settings import Environment, Misconfigured, SupabaseSettings
from functions._shared.wiring import open_store
from functions.runner_token.exchange import TOKEN_SECONDS, Exchange, Mint
from functions.runner_token.identity import Rule
from functions.runner_token.issuer import fetch_keys

if TYPE_CHECKING:
    import flask

    from controlplane.secret import Secret

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
KEYS_FIX = "Try again; if it stays, check GITHUB_OIDC_ISSUER and the function's way out."
# {"run_id": "<uuid>"} and room for a client that says more.
BODY_LIMIT_BYTES = 4_096


@functools.cache
def wire() -> Exchange:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    supabase = SupabaseSettings.read(environment)
    signing_key = environment.secret("AICD_SIGNING_JWK")
    audience = environment.text("AICD_RUNNER_TOKEN_AUDIENCE")
    issuer = environment.url("GITHUB_OIDC_ISSUER", GITHUB_ISSUER)
    environment.check()
    keys = KeySet(lambda: fetch_keys(issuer), whose="GitHub's", fix=KEYS_FIX)
    return Exchange(Rule(issuer, audience), keys, open_store(supabase), open_mint(signing_key))


def open_mint(signing_key: Secret) -> Mint:
    """A mint for run tokens of fifteen minutes. Raises Misconfigured when the key is none."""
    try:
        jwk = parse_signing_key(signing_key)
    except BadSigningKey as error:
        raise Misconfigured(f"AICD_SIGNING_JWK cannot be used: {error.message}", fix=error.fix) from error
    hide_secret(str(jwk["d"]))
    mint: Mint = functools.partial(mint_token, jwk, "aicd_runner", TOKEN_SECONDS, name="runner-token")
    return mint


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """POST / with GitHub's ID token as Bearer token and `{"run_id"}` as body."""
    return serve(request, lambda call: wire().handle(call), component="runner-token", limit_bytes=BODY_LIMIT_BYTES)
