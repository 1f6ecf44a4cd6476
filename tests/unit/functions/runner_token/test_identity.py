"""What counts as GitHub's signed word to us, and the forgeries that do not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from functions._shared.callers.keyset import KeySet
from functions.runner_token.identity import (
    LEEWAY_SECONDS,
    REFUSED_HEADERS,
    SIGNED_FOR_US,
    IdentityNotAccepted,
    Rule,
    verify_identity,
)

Sign = Callable[..., str]
Claims = Callable[..., dict[str, Any]]
AUDIENCE = "https://runner-token.example"
NOW = int(time.time())
STRANGER = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def verify(key: rsa.RSAPrivateKey, rule: Rule) -> Callable[[str], Any]:
    keys = KeySet(lambda: {"k1": key.public_key()}, whose="The issuer's", fix="Wait.")
    return lambda authorization: verify_identity(authorization, rule, keys)


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def reason_of(verify: Callable[[str], Any], authorization: str) -> str:
    with pytest.raises(IdentityNotAccepted) as caught:
        verify(authorization)
    assert caught.value.http_status == 401 and caught.value.code == "identity-not-accepted"
    assert caught.value.details["reason"] not in str(caught.value)
    return str(caught.value.details["reason"])


def test_signed_token_for_us_is_accepted(verify: Callable[[str], Any], sign: Sign, claims: Claims) -> None:
    assert verify(sign()) == claims()
    assert verify(sign(nbf=None))["jti"] == "a-jti"
    assert verify(sign().replace("Bearer", "bearer"))["run_id"] == "900"


@pytest.mark.parametrize(("name", "seconds"), [("exp", -LEEWAY_SECONDS + 10), ("nbf", LEEWAY_SECONDS - 5), ("iat", 25)])
def test_clocks_may_differ_by_half_a_minute(verify: Callable[[str], Any], sign: Sign, name: str, seconds: int) -> None:
    assert verify(sign(**{name: int(time.time()) + seconds}))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": "https://runner-token.example/"},
        {"aud": "HTTPS://runner-token.example"},
        {"aud": [AUDIENCE]},
        {"aud": [AUDIENCE, "https://other.example"]},
        {"aud": ""},
        {"aud": {"value": AUDIENCE}},
        {"iss": None},
        {"iss": "https://token.actions.githubusercontent.com/"},
        {"iss": "https://token.actions.githubusercontent.com/acme"},
        {"iss": ["https://token.actions.githubusercontent.com"]},
        {"exp": None},
        {"exp": NOW - LEEWAY_SECONDS - 5},
        {"exp": str(NOW + 86_400)},
        {"exp": True},
        {"exp": NOW + 86_400.5},
        {"exp": "soon"},
        {"iat": None},
        {"iat": NOW + 86_400},
        {"iat": str(NOW)},
        {"nbf": NOW + 86_400},
        {"nbf": "now"},
        {"nbf": [NOW]},
    ],
    # Of claims and kinds, not of moments: every worker of a parallel run must find the same names.
    ids=lambda changes: "-".join(f"{name}-{type(value).__name__}" for name, value in changes.items()),
)
def test_token_that_is_not_for_us_or_not_for_now_is_refused(
    verify: Callable[[str], Any], sign: Sign, changes: Any
) -> None:
    assert reason_of(verify, sign(**changes))


def forge(key: rsa.RSAPrivateKey, claims: dict[str, Any], how: str) -> str:
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if how == "none":
        return f"{segment({'alg': 'none', 'kid': 'k1'})}.{segment(claims)}."
    if how == "none-with-key-id-and-rs256-signature":
        good = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k1"})
        return f"{segment({'alg': 'none', 'kid': 'k1'})}.{'.'.join(good.split('.')[1:])}"
    if how == "hs256-public":
        import hashlib
        import hmac

        signed = f"{segment({'alg': 'HS256', 'kid': 'k1'})}.{segment(claims)}"
        mac = hmac.new(public, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    if how in ("RS512", "PS256"):
        return jwt.encode(claims, key, algorithm=how, headers={"kid": "k1"})
    if how == "es256":
        return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "k1"})
    if how == "stranger":
        return jwt.encode(claims, STRANGER, algorithm="RS256", headers={"kid": "k1"})
    if how == "stranger-with-jwk":
        jwk = RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
        return jwt.encode(claims, STRANGER, algorithm="RS256", headers={"kid": "k1", "jwk": jwk})
    if how == "stranger-with-jku":
        headers = {"kid": "k9", "jku": "https://evil.example/keys"}
        return jwt.encode(claims, STRANGER, algorithm="RS256", headers=headers)
    good = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k1"})
    head, body, signature = good.split(".")
    return {
        "no-signature": f"{head}.{body}.",
        "two-parts": f"{head}.{body}",
        "five-parts": f"{good}.a.b",
        "other-claims": f"{head}.{segment({**claims, 'repository_id': '1'})}.{signature}",
        "flipped": f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        "empty": "",
        "words": "not a token",
        "umlaut": good + "ü",
        "too-long": good + "A" * 9000,
        "deep-header": "e" + base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + f".{body}.{signature}",
    }[how]


FORGERIES = [
    "none", "none-with-key-id-and-rs256-signature", "hs256-public", "RS512", "PS256", "es256", "stranger",
    "stranger-with-jwk", "stranger-with-jku", "no-signature", "two-parts", "five-parts", "other-claims", "flipped",
    "empty", "words", "umlaut", "too-long", "deep-header",
]  # fmt: skip


@pytest.mark.parametrize("how", FORGERIES)
def test_forgery_is_refused(verify: Callable[[str], Any], key: rsa.RSAPrivateKey, claims: Claims, how: str) -> None:
    assert reason_of(verify, f"Bearer {forge(key, claims(), how)}")


@pytest.mark.parametrize("name", REFUSED_HEADERS)
def test_header_that_brings_a_key_is_refused_even_when_truly_signed(
    verify: Callable[[str], Any], sign: Sign, name: str
) -> None:
    value: Any = False if name == "b64" else ["b64"] if name == "crit" else "https://keys.example"
    _, body, signature = sign(header={"x": 1}).removeprefix("Bearer ").split(".")
    assert reason_of(verify, f"Bearer {segment({'alg': 'RS256', 'kid': 'k1', name: value})}.{body}.{signature}") in (
        "key-in-header", "token-malformed",
    )  # fmt: skip
    if name not in ("crit", "b64"):
        assert reason_of(verify, sign(header={name: value})) == "key-in-header"


@pytest.mark.parametrize("kid", ["k2", "", "k" * 201])
def test_key_id_that_nobody_published_is_refused(verify: Callable[[str], Any], sign: Sign, kid: str) -> None:
    assert reason_of(verify, sign(header={"kid": kid})) in ("unknown-key", "no-key-id")


def test_token_without_key_id_is_refused(verify: Callable[[str], Any], key: rsa.RSAPrivateKey, claims: Claims) -> None:
    assert reason_of(verify, f"Bearer {jwt.encode(claims(), key, algorithm='RS256')}") == "no-key-id"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "x.y.z"])
def test_request_without_bearer_token_is_refused(verify: Callable[[str], Any], authorization: str) -> None:
    assert reason_of(verify, authorization) == "no-bearer-token"


def test_list_of_what_is_checked_with_the_signature_is_not_empty() -> None:
    assert set(SIGNED_FOR_US) == {"iss", "aud", "exp", "iat"}
