"""Proves that a request comes from one configured Google service account.

google-auth checks signature, times, issuer and audience, and no more: anybody can have Google sign a token for our
audience with his own service account. So `email` and `email_verified` decide, and the audience must be one string.
Source: docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions

Behind Google's IAM the platform verifies the token itself and writes SIGNATURE_REMOVED_BY_GOOGLE in place of the
signature. Nothing can be proven then, so such a token is refused, unless the operator says that the service is closed:
on an open one anybody can write these words. Source: cloud.google.com/run/docs/troubleshooting#signature-removed
"""

from __future__ import annotations

import base64
import functools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from controlplane.errors import OutsideError
from functions._shared.callers.bearer import read_bearer
from functions._shared.callers.keyset import KeySet
from functions._shared.callers.published import fetch_object
from functions._shared.endpoint import Call, CallerNotProven
from functions._shared.settings import CallerSettings

log = structlog.get_logger(__name__)

ISSUERS = ("accounts.google.com", "https://accounts.google.com")
CLOCK_SKEW_SECONDS = 10
PEM = "-----BEGIN CERTIFICATE-----"
REMOVED_SIGNATURE = "SIGNATURE_REMOVED_BY_GOOGLE"


class OidcProof:
    """Verifies bearer tokens against one rule; Google's certificates are kept as long as is safe.

    `fetch` gives the certificates by their key ids, as PEM."""

    def __init__(self, settings: CallerSettings, fetch: Callable[[], Mapping[str, str]] | None = None) -> None:
        self._settings = settings
        self._certificates = KeySet(
            fetch or functools.partial(fetch_certificates, settings.certs_url),
            whose="Google's",
            fix="Try again; if it stays, check GOOGLE_CERTS_URL and the function's way out to the internet.",
            code="certificates-unavailable",
        )

    def verify_call(self, call: Call) -> Mapping[str, Any]:
        """As `verify`. Behind IAM, the platform checks X-Serverless-Authorization where it was sent, and then leaves
        Authorization to whoever wrote it; so there, that one is not looked at."""
        checked = call.header("X-Serverless-Authorization") if self._settings.platform_verifies else ""
        return self.verify(checked or call.header("Authorization"))

    def verify(self, authorization: str) -> Mapping[str, Any]:
        """The claims of a proven caller. Raises `CallerNotProven`, or `OutsideError` when Google's keys are away."""
        token = read_bearer(authorization, _refused)
        if token.endswith(f".{REMOVED_SIGNATURE}"):
            if not self._settings.platform_verifies:
                raise _refused("signature-removed-by-platform")
            claims = _read_claims(token, time.time())
        else:
            claims = self._decode(token)
        reason = find_fault(claims, self._settings)
        if reason:
            raise _refused(reason)
        return claims

    def _decode(self, token: str) -> Mapping[str, Any]:
        from google.auth import jwt
        from google.auth.exceptions import GoogleAuthError

        try:
            # Typed as nothing by its authors.
            kid = str(jwt.decode_header(token).get("kid"))  # type: ignore[no-untyped-call]
            certificate = self._certificates.find(kid)
            if certificate is None:
                raise _refused("key-unknown")
            claims: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]
                token,
                certs={kid: certificate},
                audience=self._settings.audience,
                clock_skew_in_seconds=CLOCK_SKEW_SECONDS,
            )
        except (GoogleAuthError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _refused(f"token-invalid: {type(error).__name__}") from error
        return claims


def find_fault(claims: Mapping[str, Any], settings: CallerSettings) -> str:
    """Why these signed claims are not the configured caller's; empty when they are."""
    if claims.get("iss") not in ISSUERS:
        return "issuer"
    if claims.get("aud") != settings.audience:  # a list holding ours is not ours
        return "audience"
    if claims.get("email") != settings.service_account:
        return "email"
    if claims.get("email_verified") is not True:
        return "email-not-verified"
    if not all(isinstance(claims.get(name), (int, float)) for name in ("iat", "exp")):
        return "no-expiry"
    return ""


def _read_claims(token: str, now: float) -> Mapping[str, Any]:
    """The claims of a token that the platform has verified; its times are looked at once more, which costs nothing."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        begins, ends = float(claims["iat"]), float(claims["exp"])
    except (ValueError, RecursionError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise _refused("token-malformed") from error
    if not begins - CLOCK_SKEW_SECONDS <= now <= ends + CLOCK_SKEW_SECONDS:
        raise _refused("token-expired")
    return dict(claims)


def _refused(reason: str) -> CallerNotProven:
    log.warning("caller refused", reason=reason)
    return CallerNotProven(
        "The caller's token is missing or was not accepted.",
        fix="Call with a Google ID token of the configured service account, for this function's exact audience.",
    )


def fetch_certificates(url: str) -> dict[str, str]:
    """Google's certificates as they are published now. Raises OutsideError."""
    listed = fetch_object(url, _unusable)
    return {kid: pem for kid, pem in listed.items() if isinstance(pem, str) and pem.startswith(PEM)}


def _unusable(reason: str) -> OutsideError:
    return OutsideError(
        f"Google's signing certificates cannot be fetched: {reason}.",
        fix="Check GOOGLE_CERTS_URL and the function's way out to the internet.",
        code="certificates-unavailable",
    )
