"""GitHub's OIDC issuer for Actions jobs: tokens bound to a run, all claims strings, and the keys to check them by.

The `sub` claim has the immutable form that GitHub uses for repositories made after 2026-07-15:
https://docs.github.com/actions/reference/security/oidc
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any
from urllib.parse import quote

from local.doubles.exchange import Call
from local.doubles.github.nouns import Repository, Run
from local.doubles.github.state import GitHubState, stable_id
from local.doubles.server import RefusedControlError
from local.doubles.signing import Signing, SigningKey

LIFETIME_SECONDS = 300
NOT_BEFORE_SECONDS = 600


class Issuer:
    """Speaks for the double as `iss`, which is its own address."""

    def __init__(self, state: GitHubState, key: SigningKey, base_url: str) -> None:
        self._state = state
        self._key = key
        self._secret = key.derive_secret("run request tokens")
        self.url = base_url

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/.well-known/jwks",
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "claims_supported": sorted(
                ("sub", "aud", "exp", "iat", "iss", "jti", "nbf", "repository", "run_id", "environment")
            ),
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        }

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self._key.jwk()]}

    def job_access(self, run: Run, environment: str | None) -> dict[str, str]:
        """What a job gets in ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN; the environment is bound by the runner."""
        query = f"run_id={run.id}" + (f"&environment={quote(environment, safe='')}" if environment else "")
        return {"url": f"{self.url}/_double/oidc/token?{query}", "token": self._proof(run.id, environment or "")}

    def token(self, call: Call) -> dict[str, str]:
        """The answer to a job's request: `{value}`; 401 unless its request token fits the run and the environment."""
        run = self._state.runs.get(call.one("run_id"))
        scheme, _, proof = call.headers.get("authorization", "").partition(" ")
        environment = call.one("environment")
        expected = self._proof(run.id if run else 0, environment)
        if run is None or scheme.lower() != "bearer" or not hmac.compare_digest(proof.encode(), expected.encode()):
            raise RefusedControlError(401, "this request token does not belong to that run and environment")
        if run.status == "completed":
            raise RefusedControlError(400, "the run is over")
        owner, _, name = run.repository.partition("/")
        repository = self._state.repository(owner, name)
        if repository is None:
            raise RefusedControlError(404, "the run's repository is gone")
        audience = call.one("audience") or f"{self.url}/{repository.owner}"
        return {"value": self._key.mint(self.claims(run, repository, audience, environment or None))}

    def forge(
        self, claims: dict[str, Any], header: dict[str, Any], signing: Signing, run: Run | None, audience: str
    ) -> str:
        """A token for hostile tests: a run's claims (if a run is given) with anything replaced; None leaves out."""
        usual: dict[str, Any] = {}
        if run is not None:
            owner, _, name = run.repository.partition("/")
            repository = self._state.repository(owner, name)
            usual = self.claims(run, repository, audience, None) if repository else {}
        return self._key.mint(usual | claims, header, signing)

    def claims(self, run: Run, repository: Repository, audience: str, environment: str | None) -> dict[str, Any]:
        now = int(time.time())
        scope = f"environment:{quote(environment, safe='')}" if environment else f"ref:{run.ref}"
        subject = f"repo:{repository.owner}@{repository.owner_id}/{repository.name}@{repository.id}:{scope}"
        workflow_ref = f"{repository.full_name}/{run.workflow_path}@{run.ref}"
        texts = {
            "sub": subject,
            "ref": run.ref,
            "sha": run.sha,
            "ref_type": "tag" if run.ref.startswith("refs/tags/") else "branch",
            "ref_protected": "false",
            "repository": repository.full_name,
            "repository_id": str(repository.id),
            "repository_owner": repository.owner,
            "repository_owner_id": str(repository.owner_id),
            "repository_visibility": "private" if repository.private else "public",
            "actor": run.actor,
            "actor_id": str(stable_id(f"owner {run.actor.lower()}")),
            "run_id": str(run.id),
            "run_number": str(run.number),
            "run_attempt": str(run.attempt),
            "runner_environment": "self-hosted",
            "workflow": run.workflow_name,
            "workflow_ref": workflow_ref,
            "workflow_sha": run.sha,
            "job_workflow_ref": workflow_ref,
            "job_workflow_sha": run.sha,
            "event_name": run.event,
            "head_ref": "",
            "base_ref": "",
        }
        times = {"iat": now, "nbf": now - NOT_BEFORE_SECONDS, "exp": now + LIFETIME_SECONDS}
        usual = {"iss": self.url, "aud": audience, "jti": secrets.token_hex(16), **texts, **times}
        return usual | ({"environment": environment} if environment else {})

    def _proof(self, run_id: int, environment: str) -> str:
        return hmac.new(self._secret, f"{run_id} {environment}".encode(), "sha256").hexdigest()
