"""Who calls: an API key, or a member with his own Supabase token. Everything after this works with an `ApiCaller`.

A key is known by its hash. A member's token is shown to PostgREST, which verifies signature, expiry and role; the
function holds no key to do that itself, and none that could make such a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from controlplane.api_keys import KEY
from controlplane.errors import NotAllowed, NotAuthenticated
from controlplane.secret import Hidden, Secret
from functions._shared.api.refusals import TooManyRequests
from functions._shared.callers.bearer import read_bearer
from functions._shared.endpoint import CallerNotAllowed, CallerNotProven

log = structlog.get_logger(__name__)

Scope = Literal["specs:read", "specs:write"]
# A member's token may do what his role in a project allows, which each verb looks up.
MEMBER_SCOPES: frozenset[str] = frozenset({"specs:read", "specs:write"})
JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
FIX = "Send 'Authorization: Bearer' with an API key (aicd key create) or with a signed-in user's Supabase token."


@dataclass(frozen=True)
class Allowance:
    """How many requests are left in this minute."""

    limit: int
    remaining: int

    def headers(self) -> dict[str, str]:
        return {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.remaining)}


@dataclass(frozen=True)
class ApiCaller:
    """A proven caller whose request has been counted. Only the provers make one."""

    kind: Literal["key", "user", "webhook"]
    id: str
    scopes: frozenset[str]
    allowance: Allowance
    token: Secret | None = None

    @property
    def name(self) -> str:
        """Whose idempotency keys these are."""
        return f"{self.kind}:{self.id}"

    def as_json(self) -> dict[str, str]:
        """What the verbs take."""
        return {"kind": self.kind, "id": self.id}

    def require(self, scope: Scope) -> None:
        """Raise `CallerNotAllowed` where a key was not made for this."""
        if scope not in self.scopes:
            raise CallerNotAllowed(
                f"This key may not do that: it lacks the scope {scope}.",
                fix=f"Make one that has it: aicd key create --scope {scope}.",
                code="scope-missing",
            )


class KeyStore(Protocol):
    """What proving a key needs."""

    def open_key_call(self, unverified_key: str) -> Mapping[str, Any] | None: ...


class MemberStore(Protocol):
    """What proving a member needs: the client presents whatever `presenting` says."""

    def open_member_call(self) -> Mapping[str, Any]: ...


_presented: ContextVar[Secret | None] = ContextVar("presented_token", default=None)


@contextmanager
def presenting(token: Secret | None) -> Iterator[None]:
    """Within the block, the member's client speaks with this token, in this thread and no other."""
    before = _presented.set(token)
    try:
        yield
    finally:
        _presented.reset(before)


def presented_token() -> Secret:
    """The token source of the member's client. Raises outside of `presenting`: it must never speak as anybody else."""
    token = _presented.get()
    if token is None:
        raise RuntimeError("a member's client was used for nobody")
    return token


@dataclass(frozen=True)
class Callers:
    """Proves callers against the database."""

    keys: KeyStore
    members: MemberStore

    def prove(self, authorization: str) -> ApiCaller:
        """Raises `CallerNotProven`, `TooManyRequests`, or OutsideError when the database is away."""
        unverified = read_bearer(authorization, _refused)
        return self._prove_key(unverified) if KEY.fullmatch(unverified) else self._prove_member(unverified)

    def _prove_key(self, unverified: str) -> ApiCaller:
        opened = self.keys.open_key_call(unverified)
        if opened is None:
            raise _refused("key-unknown")
        return admit("key", str(opened["key_id"]), frozenset(opened["scopes"]), opened["limit"])

    def _prove_member(self, unverified: str) -> ApiCaller:
        if not JWT.fullmatch(unverified):
            raise _refused("token-malformed")
        token = Hidden(unverified)
        try:
            with presenting(token):
                opened = self.members.open_member_call()
        except (NotAuthenticated, NotAllowed) as error:
            raise _refused(error.code) from error
        return admit("user", str(opened["user_id"]), MEMBER_SCOPES, opened["limit"], token)


def admit(
    kind: Literal["key", "user", "webhook"],
    caller_id: str,
    scopes: frozenset[str],
    limit: Mapping[str, Any],
    token: Secret | None = None,
) -> ApiCaller:
    """The caller, if this minute has room for his request."""
    if not limit["allowed"]:
        log.warning("caller too fast", caller=f"{kind}:{caller_id}")
        seconds = int(limit["retry_after_seconds"])
        raise TooManyRequests(
            f"You have made {limit['limit']} requests in a minute, which is the most that one caller may.",
            fix=f"Try again in {seconds} s.",
            details={"retry_after_seconds": seconds},
        )
    return ApiCaller(kind, caller_id, scopes, Allowance(int(limit["limit"]), int(limit["remaining"])), token)


def _refused(reason: str) -> CallerNotProven:
    log.warning("caller refused", reason=reason)
    return CallerNotProven("Your API key or token is missing, or does not count.", fix=FIX)
