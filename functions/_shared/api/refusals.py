"""What the API refuses, each with its code and status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from controlplane.errors import AicdError, CallerError, Conflict, NotFound
from functions._shared.envelope import Answer

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from controlplane.spec import Problem

MOST_PROBLEMS = 50
UNPROCESSABLE = 422
_LINE = re.compile(r"^Line \d+: ")


class TooManyRequests(CallerError):
    """You have asked too often; `retry_after_seconds` says when you are served again."""

    default_code = "too-many-requests"
    http_status = 429


class UnsupportedMediaType(CallerError):
    """The body's media type is none that is read here."""

    default_code = "media-type-unsupported"
    http_status = 415


class Unreadable(CallerError):
    """The body is not what its media type says."""

    default_code = "body-not-json"


class Invalid(AicdError):
    """What was sent can be read, and not be used. `problems` are the envelope's errors, `notes` stop nothing."""

    default_code = "invalid"
    http_status = UNPROCESSABLE

    def __init__(self, problems: Sequence[dict[str, Any]], notes: Sequence[str] = ()) -> None:
        super().__init__(str(problems[0]["message"]), code=str(problems[0]["code"]))
        self.problems = tuple(problems[:MOST_PROBLEMS])
        self.notes = tuple(notes)

    def answer(self) -> Answer:
        meta = {"notes": list(self.notes)} if self.notes else {}
        return Answer(status=self.http_status, errors=self.problems, meta=meta)


class NoSpec(NotFound):
    """There is no such specification for you."""

    default_code = "spec-not-found"


class HashDiffers(Conflict):
    """What is stored is not what was declared."""

    default_code = "hash-mismatch"


def invalid_fields(error: ValidationError, model: type[BaseModel], code: str = "field-invalid") -> Invalid:
    """Each field that the model refused, by its name, with what is allowed there; never what was sent."""
    from functions._shared.api.wording import explain_field  # with the reader of specifications, which is opened late

    found: dict[str, dict[str, Any]] = {}
    for one in error.errors(include_url=False, include_input=False):
        # What stands below a field's name are the branches of its type.
        field = str(one["loc"][0]) if one["loc"] else "body"
        found.setdefault(field, {"code": code, "message": explain_field(one, model), "field": field})
    return Invalid(list(found.values()))


def invalid_spec(problems: Sequence[Problem], notes: Sequence[str] = (), *, positions: bool) -> Invalid:
    """Each problem of a specification, and what was noted of it. `positions` is False where lines and columns would be
    of a text that the caller never saw."""
    return Invalid(
        [
            {
                "code": "spec-invalid",
                "message": problem.message,
                "field": problem.path or "spec",
                **({"line": problem.line} if positions and problem.line else {}),
                **({"column": problem.column} if positions and problem.column else {}),
            }
            for problem in problems
        ],
        notes if positions else [_LINE.sub("", note) for note in notes],
    )
