"""The exchange: prove the identity, judge it by what the run trusts, claim it, and only then mint a token."""

from __future__ import annotations

import collections
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog

from controlplane.errors import CallerError
from controlplane.tokens import MintedToken
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer
from functions.runner_token.claims import find_fault, find_unknown, scope_of
from functions.runner_token.identity import IdentityNotAccepted, Rule, verify_identity
from functions.runner_token.refusals import ExchangeRefused, refuse
from functions.runner_token.trust import Trust

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from functions._shared.callers.keyset import KeySet

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

TOKEN_SECONDS = 900
# Kept with the exchange in the audit log: who it was, in GitHub's words.
AUDITED = ("repository", "repository_id", "actor", "event_name", "ref", "sha", "workflow_ref", "job_workflow_ref",
           "runner_environment", "environment")  # fmt: skip


class TrustStore(Protocol):
    """The two verbs of the exchange; `controlplane.store.FunctionsStore` is the one that is deployed."""

    def describe_run_trust(self, run_id: str) -> Mapping[str, Any] | None: ...

    def claim_identity(self, claim: Mapping[str, Any]) -> str: ...


class Mint(Protocol):
    """Signs a token of role aicd_runner with the key that only this function holds. `scope` None stands for both."""

    def __call__(self, *, jti: str, project_id: str, spec_id: str, run_id: str, scope: str | None) -> MintedToken: ...


class NoRunNamed(CallerError):
    """The request does not name a run."""

    default_code = "run-id-missing"


@dataclass
class Exchange:
    """Kept for the process: the keys and the count of refusals live as long as it does."""

    rule: Rule
    keys: KeySet[RSAPublicKey]
    store: TrustStore
    mint: Mint
    refused: collections.Counter[str] = field(default_factory=collections.Counter)

    def handle(self, call: Call) -> Answer:
        """One request: the identity as Bearer token, `{"run_id"}` as body."""
        claims = self._counted(lambda: verify_identity(call.header("Authorization"), self.rule, self.keys))
        return self._counted(lambda: self._exchange(claims, read_run_id(call.body)))

    def _exchange(self, claims: Mapping[str, Any], run_id: str) -> Answer:
        if unknown := find_unknown(claims):
            log.info("claims unknown", names=unknown[:20])
        row = self.store.describe_run_trust(run_id)
        if row is None:
            raise refuse("run-not-yours")
        trust = Trust.of(row)
        if fault := find_fault(claims, trust):
            raise refuse(fault)
        minted, scope = self._claim_and_mint(claims, trust), scope_of(claims)
        log.info("run token minted", run_id=trust.run_id, scope=scope, token_jti=minted.jti, ci_run_id=claims["run_id"])
        data = {"token": minted.token, "expires_at": minted.expires_at.isoformat(), "run_id": trust.run_id}
        return Answer(data={**data, "scope": scope})

    def _claim_and_mint(self, claims: Mapping[str, Any], trust: Trust) -> MintedToken:
        token_jti, scope = str(uuid.uuid4()), scope_of(claims)
        details = {name: claims[name] for name in AUDITED if name in claims}
        claim = {
            "issuer": self.rule.issuer,
            "jti": claims["jti"],
            "expires_at": claims["exp"],
            "run_id": trust.run_id,
            "ci_run_id": claims["run_id"],
            "ci_attempt": int(claims["run_attempt"]),
            "token_jti": token_jti,
            "token_seconds": TOKEN_SECONDS,
            "details": {**details, "scope": scope},
        }
        outcome = self.store.claim_identity(claim)
        if outcome != "claimed":
            raise refuse(outcome)
        return self.mint(
            jti=token_jti,
            project_id=trust.project_id,
            spec_id=trust.spec_id,
            run_id=trust.run_id,
            scope=None if scope == "both" else scope,
        )

    def _counted(self, step: Callable[[], Result]) -> Result:
        """Every refusal is counted by its reason, which the answer does not always tell."""
        try:
            return step()
        except (IdentityNotAccepted, ExchangeRefused, NoRunNamed) as error:
            reason = str(error.details.get("reason", error.code))
            self.refused[reason] += 1
            log.warning("exchange refused", code=error.code, reason=reason, refusals=self.refused[reason])
            raise


def read_run_id(body: bytes) -> str:
    """The body's run_id in its usual form. Raises NoRunNamed."""
    try:
        document = json.loads(body)
        return str(uuid.UUID(document["run_id"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NoRunNamed(fix='Send a JSON object {"run_id": "<uuid>"}.') from error
