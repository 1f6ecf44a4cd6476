"""Workload identity: somebody else's identity token for an access token of ours, as `POST /v1/oauth/token` does it.

https://platform.claude.com/docs/en/manage-claude/wif-reference
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import jwt
from pydantic import BaseModel, ConfigDict, Field

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
BETAS = ("oauth-2025-04-20", "oidc-federation-2026-04-01")
ALGORITHMS = [f"{family}{bits}" for family in ("RS", "ES", "PS") for bits in (256, 384, 512)]
LEEWAY_SECONDS = 30
MOST_ASSERTION_BYTES = 16 * 1024
LONGEST_IDENTITY_SECONDS = 3600
SCOPE = "workspace:developer"

# The tables "Token exchange request" and "Token exchange response" of the page above.
REQUEST = {
    "type": "object",
    "required": ["grant_type", "assertion", "federation_rule_id", "organization_id"],
    "additionalProperties": False,
    "properties": {
        "grant_type": {"const": GRANT},
        "assertion": {"type": "string", "pattern": r"^[\w-]+\.[\w-]+\.[\w-]+$", "maxLength": MOST_ASSERTION_BYTES},
        "federation_rule_id": {"type": "string", "pattern": "^fdrl_[A-Za-z0-9]+$"},
        "organization_id": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        "service_account_id": {"type": "string", "pattern": "^svac_[A-Za-z0-9]+$"},
        "workspace_id": {"type": "string", "pattern": "^(default|wrkspc_[A-Za-z0-9]+)$"},
    },
}
ANSWER = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in", "scope"],
    "additionalProperties": False,
    "properties": {
        "access_token": {"type": "string", "pattern": "^sk-ant-oat01-"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "minimum": 1},
        "scope": {"type": "string", "minLength": 1},
    },
}


class Federation(BaseModel):
    """One rule and its issuer. `keys` are the issuer's public JWKs; a `subject` that ends with * is a beginning.

    A token lives `lifetime_seconds`, told so; with `ends_after_calls` it ends before, as when the rule is changed.
    `refuses_with` answers the exchange from number `refuses_from` on with that status.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    organization: str
    issuer: str
    keys: tuple[dict[str, Any], ...]
    audience: str = "https://api.anthropic.com"
    subject: str = "repo:*"
    service_account: str = ""
    workspaces: tuple[str, ...] = ("wrkspc_one",)
    lifetime_seconds: int = Field(default=3600, ge=1)
    ends_after_calls: int = 0
    refuses_with: int = 0
    refuses_from: int = 1


@dataclass
class _Issued:
    ends_at: float
    calls_left: int | None


@dataclass
class TokenDesk:
    """Every token given out, and how long it is good for. `refused` says why, which the API never tells its caller."""

    federation: Federation
    issued: dict[str, _Issued] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    _asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, token: str) -> bool:
        """Whether the token is one of ours and lives; counts as a call."""
        with self._lock:
            found = self.issued.get(token)
            if found is None or time.time() >= found.ends_at or found.calls_left == 0:
                return False
            if found.calls_left is not None:
                found.calls_left -= 1
            return True

    def exchange(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, Any, list[str]]:
        """(status, error type, answer or the error's message, what was wrong with the request itself)."""
        wrong, document = _read_request(headers, body)
        if wrong:
            return 400, "invalid_request", "; ".join(wrong), wrong
        with self._lock:
            self._asked += 1
            if self.federation.refuses_with and self._asked >= self.federation.refuses_from:
                return self.federation.refuses_with, "api_error", "injected fault", []
        if len(self.federation.workspaces) > 1 and "workspace_id" not in document:
            return 400, "invalid_request", "workspace_id_required", []
        reason = self._find_refusal(document)
        if reason:
            self.refused.append(reason)
            return 400, "invalid_grant", "The assertion is not authorized.", []
        return 200, "", self._issue(), []

    def _find_refusal(self, asked: Mapping[str, str]) -> str:
        rule = self.federation
        if (asked["federation_rule_id"], asked["organization_id"]) != (rule.rule, rule.organization):
            return "no such rule"
        if asked.get("service_account_id", rule.service_account) != rule.service_account:
            return "another service account"
        if asked.get("workspace_id", rule.workspaces[0]) not in rule.workspaces:
            return "another workspace"
        return self._find_untrusted(asked["assertion"])

    def _find_untrusted(self, assertion: str) -> str:
        rule = self.federation
        try:
            kid = jwt.get_unverified_header(assertion).get("kid")
            key = next((jwt.PyJWK(one) for one in rule.keys if kid and one.get("kid") == kid), None)
            if key is None:
                return "no such key"
            claims = jwt.decode(
                assertion, key.key, ALGORITHMS, options={"require": ["sub", "iat", "exp"]}, audience=rule.audience,
                issuer=rule.issuer, leeway=LEEWAY_SECONDS,
            )  # fmt: skip
        except jwt.PyJWTError as error:
            return f"{type(error).__name__}: {error}"
        if claims["exp"] - claims["iat"] > LONGEST_IDENTITY_SECONDS:
            return "lives too long"
        fits = claims["sub"] == rule.subject or (
            rule.subject.endswith("*") and claims["sub"].startswith(rule.subject[:-1])
        )
        return "" if fits else "another subject"

    def _issue(self) -> dict[str, Any]:
        token, lives = f"sk-ant-oat01-{secrets.token_urlsafe(32)}", self.federation.lifetime_seconds
        with self._lock:
            self.issued[token] = _Issued(time.time() + lives, self.federation.ends_after_calls or None)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": lives, "scope": SCOPE}
        jsonschema.validate(answer, ANSWER)
        return answer


def _read_request(headers: Mapping[str, str], body: bytes) -> tuple[list[str], Any]:
    flags = {flag.strip() for flag in headers.get("anthropic-beta", "").split(",")}
    wrong = [f"anthropic-beta: {flag} is missing" for flag in BETAS if flag not in flags]
    if headers.get("content-type", "").partition(";")[0] != "application/json":
        wrong.append("content-type: not application/json")
    if headers.get("authorization") or headers.get("x-api-key"):
        wrong.append("an exchange carries no other proof")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return [*wrong, "the body is no JSON"], None
    errors = jsonschema.Draft202012Validator(REQUEST).iter_errors(document)
    # Without the value: it may be the assertion.
    wrong += [f"{error.json_path}: breaks {error.validator}" for error in list(errors)[:5]]
    return wrong, document
