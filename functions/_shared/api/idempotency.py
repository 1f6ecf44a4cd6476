"""Idempotency-Key as Stripe has it: one key, one effect, one answer for 24 hours.

Kept is what the request itself decides: success, and what is wrong with what was sent. A fault of ours, and a refusal
that others can lift (403, 409, 429), are not: the same key may try again, and the effect has an id made of the key, so
that there is one.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from controlplane.errors import AicdError, CallerError, Conflict
from functions._shared.api.callers import ApiCaller
from functions._shared.api.ports import RequestStore
from functions._shared.api.refusals import UNPROCESSABLE, Invalid
from functions._shared.endpoint import Call, seen_from_outside
from functions._shared.envelope import Answer, refuse
from functions._shared.ports import Row

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
REPLAYED = "Idempotency-Replayed"
# What others decide and may decide otherwise in a minute.
NOT_KEPT = frozenset({401, 403, 409, 429})
SERVER_ERROR = 500


class KeyInUse(Conflict):
    """The first request with this Idempotency-Key is still being served."""

    default_code = "request-in-progress"


class KeyReused(CallerError):
    """This Idempotency-Key was used for another request."""

    default_code = "idempotency-key-reused"
    http_status = UNPROCESSABLE


class BadKey(CallerError):
    """An idempotency key is 1 to 255 visible ASCII characters."""

    default_code = "idempotency-key-invalid"


def read_key(call: Call) -> str:
    """The key, empty where none was sent. Raises `BadKey`."""
    key = call.header(HEADER)
    if HEADER.lower() in call.headers and not KEY.fullmatch(key):
        raise BadKey(fix="A random UUID will do.", details={"field": HEADER})
    return key


def origin_of(call: Call, caller: ApiCaller) -> str:
    """What an id is made of: with the same key the same id, so that what was cut off half way is met again."""
    return json.dumps([caller.name, read_key(call) or uuid.uuid4().hex])


def serve_once(call: Call, caller: ApiCaller, store: RequestStore, serve: Callable[[], Answer]) -> Answer:
    """`serve`'s answer, or the one that it gave to the same key before. Raises what it raises."""
    key = read_key(call)
    if not key:
        return serve()
    claim = Claim(caller.name, key, hash_request(call), call.correlation_id, store)
    begun = claim.begin()
    if begun["outcome"] == "replay":
        return _again(int(begun["status"]), begun["response"])
    if begun["outcome"] == "mismatch":
        raise KeyReused(fix="Make up a new key for each request; repeat one only with the very same body.")
    if begun["outcome"] != "new":
        raise KeyInUse(fix="Try again in a second.", details={"retry_after_seconds": 1})
    return claim.serve(serve)


@dataclass(frozen=True)
class Claim:
    """One request's hold on one key."""

    caller: str
    key: str
    request_hash: str
    correlation_id: str
    store: RequestStore

    def begin(self) -> Row:
        """Claims the key before anything is done: only `new` may be served."""
        return self.store.begin_request(self.caller, self.key, self.request_hash)

    def serve(self, serve: Callable[[], Answer]) -> Answer:
        """Its answer, kept with the key or not. Raises what is no answer to keep."""
        answer: Answer | None = None
        try:
            answer = _answered(serve)
            return answer
        finally:
            self._finish(answer)

    def _finish(self, answer: Answer | None) -> None:
        """Keep the answer, or give the key free. The effect is there already: failing here must not hide it."""
        status, kept = SERVER_ERROR, {}
        if answer is not None and answer.status < SERVER_ERROR and answer.status not in NOT_KEPT:
            status, kept = answer.status, self._spell(answer)
        try:
            self.store.finish_request(self.caller, self.key, self.request_hash, status, kept)
        except AicdError as error:
            log.warning("idempotency key not finished", code=error.code, reason=str(error))

    def _spell(self, answer: Answer) -> dict[str, Any]:
        meta = {"correlation_id": self.correlation_id, **answer.meta}
        # As text: what is asked for again comes letter for letter, and the database has an order of its own for keys.
        told = json.dumps({"data": answer.data, "errors": list(answer.errors), "meta": meta})
        return {"told": told, "headers": dict(answer.headers)}


def hash_request(call: Call) -> str:
    """Of method, path, media type and body: with another one of them it is another request."""
    parts = (call.method, call.path.rstrip("/"), call.header("Content-Type"), hashlib.sha256(call.body).hexdigest())
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()


def _answered(serve: Callable[[], Answer]) -> Answer:
    try:
        return serve()
    except Invalid as error:
        return error.answer()
    except CallerError as error:
        seen = seen_from_outside(error)
        if not isinstance(seen, CallerError):
            raise
        return refuse(seen)


def _again(status: int, kept: Mapping[str, Any]) -> Answer:
    told = json.loads(kept["told"])
    headers = {**kept["headers"], REPLAYED: "true"}
    return Answer(told["data"], status, tuple(told["errors"]), headers, told["meta"])
