"""Minted tokens: what Supabase needs is in them, and no other key verifies them."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from controlplane.errors import CallerError
from controlplane.tokens import BadSigningKey, mint_token, parse_signing_key


def make_jwk(curve: ec.EllipticCurve | None = None) -> dict[str, Any]:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    return json.loads(ECAlgorithm.to_jwk(key)) | {"kid": "k-1", "alg": "ES256"}


def read(token: str, jwk: dict[str, Any]) -> dict[str, Any]:
    public = {name: value for name, value in jwk.items() if name != "d"}
    return dict(jwt.decode(token, jwt.PyJWK(public).key, algorithms=["ES256"]))


def test_token_has_the_header_and_claims_that_supabase_needs() -> None:
    jwk = make_jwk()
    minted = mint_token(jwk, "aicd_functions", 600)
    claims = read(minted.token, jwk)
    assert jwt.get_unverified_header(minted.token) == {"alg": "ES256", "kid": "k-1", "typ": "JWT"}
    assert set(claims) == {"role", "jti", "sub", "iat", "exp"}
    assert (claims["role"], claims["jti"], claims["exp"] - claims["iat"]) == ("aicd_functions", minted.jti, 600)
    assert uuid.UUID(claims["sub"])
    assert abs(claims["iat"] - time.time()) < 5
    assert minted.expires_at == datetime.fromtimestamp(claims["exp"], tz=UTC)


def test_runners_token_names_what_it_may_touch() -> None:
    jwk, project, run, spec = make_jwk(), *(str(uuid.uuid4()) for _ in range(3))
    minted = mint_token(jwk, "aicd_runner", 60, name="ci", project_id=project, run_id=run, spec_id=spec, scope="build")
    claims = read(minted.token, jwk)
    assert (claims["project_id"], claims["run_id"], claims["spec_id"]) == (project, run, spec)
    assert (claims["scope"], claims["name"]) == ("build", "ci")


def test_every_token_has_its_own_jti() -> None:
    jwk = make_jwk()
    assert len({mint_token(jwk, "aicd_functions", 60).jti for _ in range(5)}) == 5


def test_other_key_does_not_verify() -> None:
    minted = mint_token(make_jwk(), "aicd_functions", 60)
    with pytest.raises(jwt.InvalidSignatureError):
        read(minted.token, make_jwk())


def test_token_does_not_show_in_a_repr() -> None:
    minted = mint_token(make_jwk(), "aicd_functions", 60)
    assert minted.token not in repr(minted)
    assert minted.jti in repr(minted)


@pytest.mark.parametrize("seconds", [0, -1, 10**9])
def test_endless_and_dead_tokens_are_not_minted(seconds: int) -> None:
    with pytest.raises(CallerError) as caught:
        mint_token(make_jwk(), "aicd_functions", seconds)
    assert caught.value.code == "bad-ttl"


def test_runners_token_without_a_project_is_not_minted() -> None:
    with pytest.raises(CallerError) as caught:
        mint_token(make_jwk(), "aicd_runner", 60)
    assert caught.value.code == "project-missing"


@pytest.mark.parametrize("wrap", [lambda jwk: jwk, lambda jwk: [jwk], lambda jwk: {"keys": [jwk]}])
def test_signing_key_is_read_in_each_form_it_is_handed_over(wrap: Any) -> None:
    jwk = make_jwk()
    assert parse_signing_key(json.dumps(wrap(jwk))) == jwk


def without(name: str) -> str:
    return json.dumps({key: value for key, value in make_jwk().items() if key != name})


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "3", "null", "{}", '{"keys": []}', without("d"), without("kid"), without("x"),
     json.dumps(make_jwk(ec.SECP384R1())), json.dumps(make_jwk() | {"x": "AAAA"}), json.dumps(make_jwk() | {"d": 7})],
)  # fmt: skip
def test_bad_signing_key_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(BadSigningKey) as caught:
        parse_signing_key(text)
    assert caught.value.fix
    assert len(text) < 20 or text[10:40] not in str(caught.value)
