"""What lies beside the tables: Auth's two routes, what is not served, and how the process lives and dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from supabase_auth.errors import AuthApiError

from local.gateway.keys import generate_signing_jwk, mint_jwt
from supabase import Client

from .conftest import ALICE, BOB, Stack, http, start_gateway


def test_user_of_a_token(gateway: Stack, stranger: Client) -> None:
    found = stranger.auth.get_user(gateway.token(sub=ALICE))
    assert found is not None
    assert (found.user.email, found.user.app_metadata) == ("alice@example.com", {"provider": "email"})


def test_user_that_does_not_exist_or_no_valid_token(gateway: Stack, stranger: Client) -> None:
    tokens = [
        gateway.token(sub=BOB),
        gateway.token(sub="not-a-uuid"),
        gateway.token(),
        gateway.token(sub=ALICE, ttl_seconds=-60),
        mint_jwt(generate_signing_jwk(), {"sub": ALICE}, 60),
    ]
    for token in tokens:
        with pytest.raises(AuthApiError):
            stranger.auth.get_user(token)


def test_claims_are_verified_with_the_published_key(gateway: Stack, stranger: Client) -> None:
    claims = stranger.auth.get_claims(gateway.token(sub=ALICE))
    assert claims is not None
    assert claims["claims"]["sub"] == ALICE
    keys = http.get(f"{gateway.url}/auth/v1/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in keys] == [gateway.jwk["kid"]]
    assert all("d" not in key for key in keys)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/v1/token?grant_type=password"),
        ("POST", "/auth/v1/signup"),
        ("GET", "/auth/v1/admin/users"),
        ("POST", "/storage/v1/bucket"),
        ("POST", "/storage/v1/object/list-v2/private"),
        ("POST", "/storage/v1/upload/resumable"),
        ("GET", "/storage/v1/render/image/authenticated/private/x"),
        ("GET", "/storage/v1/s3"),
        ("GET", "/realtime/v1/websocket"),
        ("POST", "/functions/v1/hello"),
        ("GET", "/graphql/v1"),
        ("GET", "/rest/v1/"),
        ("PUT", "/rest/v1/notes?id=eq.1"),
        ("GET", "/"),
        ("GET", "/storage/v1/object/private/a%0Ab"),
    ],
)
def test_what_is_not_served_says_so(gateway: Stack, method: str, path: str) -> None:
    headers = {"apikey": gateway.secret_key}
    answer = http.request(method, f"{gateway.url}{path}", headers=headers)
    assert answer.status_code == 501
    assert "local gateway does not serve" in answer.json()["message"]


@pytest.mark.parametrize(
    "headers",
    [{"Prefer": "count=planned"}, {"Prefer": "tx=rollback"}, {"Accept": "text/csv"}, {"Prefer": "return=headers-only"}],
)
def test_wish_that_is_not_served_says_so(gateway: Stack, headers: dict[str, str]) -> None:
    answer = http.get(f"{gateway.url}/rest/v1/notes", headers={"apikey": gateway.publishable_key, **headers})
    assert answer.status_code == 501


def test_every_answer_says_what_it_is(gateway: Stack) -> None:
    for path in ("/rest/v1/notes", "/nowhere", "/auth/v1/.well-known/jwks.json"):
        answer = http.get(f"{gateway.url}{path}", headers={"apikey": gateway.publishable_key})
        assert "for development" in answer.headers["x-served-by"]


def test_process_stops_within_a_second(gateway: Stack, tmp_path: Path) -> None:
    other = start_gateway(gateway.database, tmp_path / "objects")
    with httpx.Client() as idle:
        assert idle.get(f"{other.url}/auth/v1/.well-known/jwks.json").status_code == 200
        begun = time.monotonic()
        other.process.terminate()
        assert other.process.wait(5) == 0
        assert time.monotonic() - begun < 1


def test_missing_settings_are_all_named(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AICD_")}
    done = subprocess.run(
        [sys.executable, "-m", "local.gateway"],
        env=environment | {"AICD_GATEWAY_PORT": "http", "AICD_GATEWAY_SIGNING_JWK": "{"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for word in ("AICD_GATEWAY_PORT is not", "AICD_GATEWAY_DSN is not set", "SIGNING_JWK is not the JSON"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
