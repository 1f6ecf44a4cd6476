"""Tokens whose signature Google's platform has taken away: nobody's, unless the operator says that it checks them."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from controlplane.errors import NotAuthenticated
from functions._shared.callers.oidc import REMOVED_SIGNATURE, OidcProof
from functions._shared.endpoint import Call
from functions._shared.settings import CallerSettings, Environment, Misconfigured

AUDIENCE, ACCOUNT = "https://push.example/", "push@project.iam.gserviceaccount.com"


def proof(*, closed: bool) -> OidcProof:
    def no_network() -> Any:
        raise AssertionError("Google's certificates are not needed here")

    return OidcProof(CallerSettings(AUDIENCE, ACCOUNT, "https://certs.example/", closed), no_network)


def token(payload: Any = None, signature: str = REMOVED_SIGNATURE, **changes: Any) -> str:
    """Made when the test runs: a suite may be collected long before."""
    given = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": ACCOUNT,
        "email_verified": True,
        "iat": time.time() - 5,
        "exp": time.time() + 600,
        **changes,
    }
    claims = {name: value for name, value in given.items() if value is not None}
    body = json.dumps(claims).encode() if payload is None else payload
    head, middle = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"RS256"}', body))
    return f"{head}.{middle}.{signature}"


def call(**headers: str) -> Call:
    named = {name.lower().replace("_", "-"): f"Bearer {value}" for name, value in headers.items()}
    return Call(method="POST", path="/", headers=named, body=b"")


def test_token_without_signature_is_refused_by_default() -> None:
    with pytest.raises(NotAuthenticated):
        proof(closed=False).verify_call(call(Authorization=token()))


def test_closed_service_believes_the_platform() -> None:
    assert proof(closed=True).verify_call(call(Authorization=token()))["email"] == ACCOUNT


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "https://other.example/"},
        {"aud": [AUDIENCE]},
        {"email": "eve@project.iam.gserviceaccount.com"},
        {"email_verified": "true"},
        {"exp": time.time() - 60},
        {"iat": time.time() + 86_400},  # of collection: the suite may take minutes until it comes here
        {"exp": None},
        {"exp": "soon"},
        {"payload": b"[]"},
        {"payload": b"{"},
        {"payload": b"[" * 2_000},
        {"payload": b"\xff"},
    ],
)
def test_closed_service_still_wants_our_caller(changes: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        proof(closed=True).verify_call(call(Authorization=token(**changes)))


def test_token_beside_the_one_that_the_platform_checked_counts_for_nothing() -> None:
    """Whoever may invoke the service could otherwise write the claims of our account beside his own valid token."""
    checked = token(email="eve@project.iam.gserviceaccount.com")
    with pytest.raises(NotAuthenticated):
        proof(closed=True).verify_call(call(X_Serverless_Authorization=checked, Authorization=token()))
    assert proof(closed=True).verify_call(call(X_Serverless_Authorization=token(), Authorization="x.y.z"))


def test_header_of_the_platform_counts_for_nothing_on_an_open_service() -> None:
    with pytest.raises(NotAuthenticated):
        proof(closed=False).verify_call(call(X_Serverless_Authorization=token()))


@pytest.mark.parametrize(("value", "closed"), [("", False), ("off", False), ("on", True), ("true", True)])
def test_setting_is_off_unless_it_is_said(value: str, closed: bool) -> None:
    variables = {"P_AUDIENCE": AUDIENCE, "P_SERVICE_ACCOUNT": ACCOUNT, "AICD_PLATFORM_VERIFIES_CALLERS": value}
    assert CallerSettings.read(Environment(variables), "P").platform_verifies is closed


def test_setting_that_is_no_word_of_ours_is_named() -> None:
    environment = Environment({"P_AUDIENCE": "a", "P_SERVICE_ACCOUNT": "b", "AICD_PLATFORM_VERIFIES_CALLERS": "maybe"})
    CallerSettings.read(environment, "P")
    with pytest.raises(Misconfigured, match="AICD_PLATFORM_VERIFIES_CALLERS"):
        environment.check()
