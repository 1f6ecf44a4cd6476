"""The HTTP boundary of every function: method, body limit, correlation id, and errors turned into answers.

Handlers see a `Call` with the raw bytes: who calls is proven on them, before anything is parsed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from controlplane.errors import AicdError, BrokenPromise, CallerError, NotAllowed, NotAuthenticated, OutsideError
from controlplane.logs import bind_correlation, configure_logs
from functions._shared.envelope import Answer, Rendered, refuse, render

if TYPE_CHECKING:
    import flask

log = structlog.get_logger(__name__)

BODY_LIMIT_BYTES = 1_000_000
CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class Call:
    """One request. The names in `headers` are in lower case; `body` is at most the endpoint's limit; `query` has each
    parameter's values as they were sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    correlation_id: str = ""

    def header(self, name: str) -> str:
        """The header's value, empty when it was not sent."""
        return self.headers.get(name.lower(), "")


class BodyTooLarge(CallerError):
    """The request's body is larger than this function accepts."""

    default_code = "body-too-large"
    http_status = 413


class CallerNotProven(NotAuthenticated):
    """The caller did not prove who he is."""


class CallerNotAllowed(NotAllowed):
    """The proven caller may not do this."""


class MethodNotAllowed(CallerError):
    """This address does not take that method."""

    default_code = "method-not-allowed"
    http_status = 405


def serve(
    request: flask.Request,
    handle: Callable[[Call], Answer],
    *,
    component: str,
    methods: tuple[str, ...] | None = ("POST",),
    limit_bytes: int = BODY_LIMIT_BYTES,
) -> Rendered:
    """Answer one request. Nothing escapes: what is not an `AicdError` is our bug, logged and answered with 500.

    `methods` is None where the handler itself knows which of its addresses takes which.
    """
    configure_logs(component)
    correlation_id = uuid.uuid4().hex
    bind_correlation(correlation_id)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        body = read_body(request, limit_bytes)
        if methods is not None and request.method not in methods:
            answer = refuse_method(request.method, methods)
        else:
            query = {name: tuple(values) for name, values in request.args.lists()}
            answer = handle(Call(request.method, request.path, headers, body, query, correlation_id))
    except AicdError as error:
        answer = refuse(seen_from_outside(error))
        log.warning("request refused", code=error.code, reason=str(error), status=answer.status)
    except Exception:
        log.exception("request crashed")
        answer = refuse(BrokenPromise("The function met a fault of ours.", fix="Report it with the correlation id."))
    return render(answer, correlation_id)


def read_body(request: flask.Request, limit_bytes: int) -> bytes:
    """The raw body; raises `BodyTooLarge`, after throwing the rest away.

    The rest is read and dropped because functions-framework would otherwise read it all into memory at the end.
    """
    chunks: list[bytes] = []
    size = 0
    while chunk := request.stream.read(CHUNK_BYTES):
        size += len(chunk)
        if size <= limit_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
    if size > limit_bytes:
        raise BodyTooLarge(f"The body is larger than {limit_bytes} bytes.", fix="Send less.")
    return b"".join(chunks)


def seen_from_outside(error: AicdError) -> AicdError:
    """401 and 403 tell a caller about himself. Where the database refuses our own token, the fault is on our side."""
    if isinstance(error, NotAuthenticated | NotAllowed) and not isinstance(error, CallerNotProven | CallerNotAllowed):
        return OutsideError(error.message, error.fix, error.code)
    return error


def refuse_method(method: str, methods: tuple[str, ...]) -> Answer:
    """405, with what is served instead."""
    allowed = ", ".join(methods)
    answer = refuse(MethodNotAllowed(f"{method[:20]} is not served here.", fix=f"Use {allowed}."))
    return Answer(status=answer.status, errors=answer.errors, headers={"Allow": allowed})
