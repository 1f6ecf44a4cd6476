"""An issuer of our own: its key, and tokens signed or mis-signed with it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from functions.runner_token.identity import Rule
from functions.runner_token.trust import Trust

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "https://runner-token.example"
KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return KEY


@pytest.fixture(scope="session")
def rule() -> Rule:
    return Rule(ISSUER, AUDIENCE)


def claims_of(**changes: Any) -> dict[str, Any]:
    """A job's claims as GitHub documents them; None leaves one out."""
    now = int(time.time())
    usual = {
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now - 600, "exp": now + 300, "jti": "a-jti",
        "sub": "repo:acme@65/shop@74:ref:refs/heads/main", "repository": "acme/shop", "repository_id": "74",
        "repository_owner": "acme", "repository_owner_id": "65", "ref": "refs/heads/main", "sha": "a" * 40,
        "workflow_ref": "acme/shop/.github/workflows/aicd.yml@refs/heads/main",
        "job_workflow_ref": "acme/shop/.github/workflows/aicd.yml@refs/heads/main",
        "run_id": "900", "run_attempt": "1", "event_name": "workflow_dispatch", "runner_environment": "self-hosted",
        "actor": "ada", "workflow": "aicd", "ref_type": "branch",
    }  # fmt: skip
    return {name: value for name, value in (usual | changes).items() if value is not None}


@pytest.fixture
def claims() -> Callable[..., dict[str, Any]]:
    return claims_of


@pytest.fixture
def sign() -> Callable[..., str]:
    """sign(header=…, **claims): an Authorization header with a token of our issuer."""

    def signed(header: dict[str, Any] | None = None, **changes: Any) -> str:
        headers = {"kid": "k1", **(header or {})}
        payload = json.dumps(claims_of(**changes)).encode()
        return f"Bearer {jwt.PyJWS().encode(payload, KEY, algorithm='RS256', headers=headers)}"

    return signed


@pytest.fixture
def trust() -> Callable[..., Trust]:
    """What describe_run_trust_v1 answers for the claims above, with changes."""

    def build(policy: dict[str, Any] | None = None, **changes: Any) -> Trust:
        row = {
            "run_id": "r", "spec_id": "s", "project_id": "p", "repo": "Acme/Shop", "repository_id": "74",
            "repository_owner_id": "65", "default_branch": "main", "workflow": "aicd.yml", "ci_run_id": "900",
            "policy": policy or {},
        }  # fmt: skip
        return Trust.of(row | changes)

    return build
