"""The one shape of every HTTP answer: `{"data", "meta", "errors"}` (design: HTTP)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.errors import AicdError, NotAuthenticated

Rendered = tuple[str, int, dict[str, str]]

NO_CONTENT = 204
POSITION = ("field", "line", "column")


@dataclass(frozen=True)
class Answer:
    """What a handler has to say. Status 204 carries no body, whatever else is set. `meta` stands beside the correlation
    id, or in its place: an answer that is given again keeps the one of its request."""

    data: Any = None
    status: int = 200
    errors: tuple[Mapping[str, Any], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


def describe_error(error: AicdError) -> dict[str, Any]:
    """Code, message with its fix, and the position where there is one; never headers, bodies or traces."""
    position: dict[str, Any] = {key: error.details[key] for key in POSITION if key in error.details}
    return {"code": error.code, "message": str(error), **position}


def refuse(error: AicdError) -> Answer:
    """The answer for an error, with Retry-After where it says how long to wait."""
    headers: dict[str, str] = {}
    wait = error.details.get("retry_after_seconds")
    if wait is not None:
        headers["Retry-After"] = str(max(1, round(float(wait))))
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, section 15.5.2
    return Answer(status=error.http_status, errors=(describe_error(error),), headers=headers)


def render(answer: Answer, correlation_id: str) -> Rendered:
    """The triple that functions-framework turns into a response."""
    headers = {"Cache-Control": "no-store", "X-Correlation-Id": correlation_id, **answer.headers}
    if answer.status == NO_CONTENT:
        return "", NO_CONTENT, headers
    meta = {"correlation_id": correlation_id, **answer.meta}
    body = {"data": answer.data, "meta": meta, "errors": list(answer.errors)}
    headers["Content-Type"] = "application/json; charset=utf-8"
    return json.dumps(body, ensure_ascii=False, allow_nan=False, default=str) + "\n", answer.status, headers
