"""Who a request is taken for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from postgrest import APIError

from local.gateway.keys import generate_signing_jwk, mint_jwt

from .conftest import ALICE, Stack, http


def whoami(gateway: Stack, headers: dict[str, str]) -> httpx.Response:
    return http.post(f"{gateway.url}/rest/v1/rpc/whoami", json={}, headers=headers)


def bearer(gateway: Stack, token: str) -> dict[str, str]:
    return {"apikey": gateway.publishable_key, "Authorization": f"Bearer {token}"}


def test_publishable_key_alone_is_anon(gateway: Stack) -> None:
    answer = whoami(gateway, {"apikey": gateway.publishable_key}).json()
    assert (answer["role"], answer["session"], answer["uid"]) == ("anon", "authenticator", None)
    assert answer["timeout"] == "3s"


def test_secret_key_repeated_as_bearer_is_service_role(gateway: Stack) -> None:
    headers = {"apikey": gateway.secret_key, "Authorization": f"Bearer {gateway.secret_key}"}
    assert whoami(gateway, headers).json()["role"] == "service_role"


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_older_form_of_a_key_opens_the_door_with_its_role(gateway: Stack, role: str) -> None:
    """What `supabase status` prints as ANON_KEY and SERVICE_ROLE_KEY, as the official client sends it."""
    assert gateway.client(key=gateway.token(role=role)).rpc("whoami").execute().data["role"] == role


@pytest.mark.parametrize("claims", [{}, {"role": "aicd_tester"}, {"role": "service_role", "sub": ALICE}])
def test_callers_token_is_no_api_key(gateway: Stack, claims: dict[str, str]) -> None:
    assert whoami(gateway, {"apikey": gateway.token(**claims)}).status_code == 401


@pytest.mark.parametrize("ttl", [-3600, 600])
def test_key_that_expired_or_that_another_signed_opens_nothing(gateway: Stack, ttl: int) -> None:
    jwk = gateway.jwk if ttl < 0 else generate_signing_jwk()
    assert whoami(gateway, {"apikey": mint_jwt(jwk, {"role": "service_role"}, ttl)}).status_code == 401


def test_user_token_beside_secret_key_wins(gateway: Stack) -> None:
    headers = {"apikey": gateway.secret_key, "Authorization": f"Bearer {gateway.token(sub=ALICE)}"}
    assert whoami(gateway, headers).json()["role"] == "authenticated"


def test_claims_and_request_are_visible_to_sql(gateway: Stack) -> None:
    answer = whoami(gateway, bearer(gateway, gateway.token(sub=ALICE, run_id="r1")) | {"User-Agent": "probe"}).json()
    assert answer["uid"] == ALICE
    assert answer["claims"]["run_id"] == "r1"
    assert (answer["method"], answer["path"], answer["agent"]) == ("POST", "/rest/v1/rpc/whoami", "probe")


def test_custom_role_gets_its_own_settings(gateway: Stack) -> None:
    client = gateway.client(gateway.token(role="aicd_tester"))
    assert client.rpc("whoami").execute().data["timeout"] == "200ms"
    with pytest.raises(APIError) as caught:
        client.rpc("slow").execute()
    assert caught.value.code == "57014"


def test_role_created_after_the_start_is_accepted(gateway: Stack, as_owner: Callable[..., Any]) -> None:
    as_owner("create role latecomer nologin; grant latecomer to authenticator; grant anon to latecomer")
    assert gateway.client(gateway.token(role="latecomer")).rpc("whoami").execute().data["role"] == "latecomer"


@pytest.mark.parametrize("role", ["ungranted", "postgres", "supabase_admin", "supabase_storage_admin", "no_such_role"])
def test_role_not_granted_to_authenticator_is_refused(gateway: Stack, role: str) -> None:
    answer = whoami(gateway, bearer(gateway, gateway.token(role=role)))
    assert answer.status_code in (401, 403)
    assert answer.json()["code"] in ("42501", "22023")


@pytest.mark.parametrize("role", ["none", "NONE", "authenticator", "", 7, ["anon"], None])
def test_role_claim_that_names_no_api_role_is_refused(gateway: Stack, role: object) -> None:
    assert whoami(gateway, bearer(gateway, gateway.token(role=role))).status_code in (401, 403)


def test_token_without_role_is_anon(gateway: Stack) -> None:
    token = mint_jwt(gateway.jwk, {"sub": ALICE}, 60)
    assert whoami(gateway, bearer(gateway, token)).json()["role"] == "anon"


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"ttl_seconds": -60}, 401),
        ({"ttl_seconds": -10}, 200),  # PostgREST allows 30 s for clocks that differ
        # From collection on: the suite may take minutes until it comes here.
        ({"nbf": time.time() + 86_400}, 401),
        ({"iat": time.time() + 86_400}, 401),
        ({"exp": "tomorrow"}, 401),
    ],
)
def test_token_outside_its_time_is_refused(gateway: Stack, claims: dict[str, Any], status: int) -> None:
    answer = whoami(gateway, bearer(gateway, gateway.token(**claims)))
    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "PGRST303"


def test_token_that_was_once_verified_expires_all_the_same(gateway: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    from local.gateway.errors import RestError
    from local.gateway.signing import Signer

    signer = Signer(gateway.jwk)
    token = gateway.token(ttl_seconds=60)
    assert signer.verify(token)["role"] == "authenticated"
    monkeypatch.setattr("time.time", lambda: jwt.decode(token, options={"verify_signature": False})["exp"] + 31)
    with pytest.raises(RestError):
        signer.verify(token)


def test_token_of_another_key_is_refused(gateway: Stack) -> None:
    other = generate_signing_jwk()
    for jwk in (other, other | {"kid": gateway.jwk["kid"]}):
        answer = whoami(gateway, bearer(gateway, mint_jwt(jwk, {"role": "service_role"}, 60)))
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_token_of_another_algorithm_is_refused(gateway: Stack, algorithm: str) -> None:
    key = None if algorithm == "none" else gateway.jwk["x"] * 2
    forged = jwt.encode({"role": "service_role"}, key, algorithm=algorithm, headers={"kid": gateway.jwk["kid"]})
    assert whoami(gateway, bearer(gateway, forged)).status_code == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "ä", "e30.e30.e30"])
def test_garbage_token_is_refused(gateway: Stack, token: str) -> None:
    headers = {b"apikey": gateway.publishable_key.encode(), b"Authorization": f"Bearer {token}".encode()}
    assert http.post(f"{gateway.url}/rest/v1/rpc/whoami", json={}, headers=headers).status_code == 401


def test_request_without_key_is_refused(gateway: Stack) -> None:
    answer = whoami(gateway, {"Authorization": f"Bearer {gateway.token(sub=ALICE)}"})
    assert (answer.status_code, answer.json()["message"]) == (401, "No API key found in request")


def test_opaque_bearer_that_is_not_the_key_is_refused(gateway: Stack) -> None:
    headers = {"apikey": gateway.publishable_key, "Authorization": f"Bearer {gateway.secret_key}"}
    assert whoami(gateway, headers).status_code == 401


def test_secret_key_from_a_browser_is_refused(gateway: Stack) -> None:
    headers = {"apikey": gateway.secret_key, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    assert whoami(gateway, headers).status_code == 401


def test_role_and_claims_do_not_outlive_their_request(gateway: Stack) -> None:
    for _ in range(20):
        assert whoami(gateway, bearer(gateway, gateway.token(sub=ALICE))).json()["uid"] == ALICE
        assert whoami(gateway, {"apikey": gateway.publishable_key}).json()["uid"] is None


def test_pre_request_function_can_refuse(gateway: Stack, as_owner: Callable[..., Any]) -> None:
    as_owner(
        """
        create function public.refuse_revoked() returns void language plpgsql as $$
        begin
            if current_setting('request.jwt.claims', true)::json ->> 'jti' = 'revoked' then
                raise sqlstate 'PT401' using message = 'token-revoked';
            end if;
        end $$;
        grant execute on function refuse_revoked() to public;
        alter role authenticator set pgrst.db_pre_request = 'public.refuse_revoked';
        notify pgrst, 'reload config'
        """
    )
    try:
        refused = bearer(gateway, gateway.token(jti="revoked"))
        deadline = time.monotonic() + 5
        while whoami(gateway, refused).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (whoami(gateway, refused).status_code, whoami(gateway, refused).json()["message"]) == (
            401,
            "token-revoked",
        )
        assert whoami(gateway, bearer(gateway, gateway.token(jti="good"))).status_code == 200
    finally:
        as_owner("alter role authenticator reset pgrst.db_pre_request; notify pgrst, 'reload config'")
