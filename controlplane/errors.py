"""Every error a person can meet, as one tree.

    AicdError
    ├── CallerError      the caller's mistake             exit 1, HTTP 4xx   do not retry
    │   └── UsageError   the command line's mistake       exit 2
    ├── OutsideError     the world outside failed         exit 4, HTTP 503   try again
    └── BrokenPromise    we broke our own contract        exit 3, HTTP 500   report it

A gate that says no and a spec that does not parse are values (`Verdict`, `SpecCheck`), never exceptions.
Foreign exceptions are translated in the file that talks to the foreign library, with `raise … from`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass
class AicdError(Exception):
    """Something went wrong.

    `message` says what failed and the likely cause, `fix` what to do about it. Neither ever holds a secret, a response
    body or a trace: both may reach logs, mail and HTTP answers.
    """

    message: str = ""
    fix: str = ""
    code: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    default_code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 3
    http_status: ClassVar[int] = 500

    def __post_init__(self) -> None:
        self.code = self.code or self.default_code
        self.message = self.message or (type(self).__doc__ or "").splitlines()[0]
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} Fix: {self.fix}" if self.fix else self.message


class CallerError(AicdError):
    """The request cannot be served as it stands."""

    default_code = "invalid-request"
    exit_code = 1
    http_status = 400


class UsageError(CallerError):
    """The command was called in a way it does not understand."""

    default_code = "usage"
    exit_code = 2


class NotAuthenticated(CallerError):
    """The caller did not prove who he is."""

    default_code = "not-authenticated"
    http_status = 401


class NotAllowed(CallerError):
    """The caller is known and may not do this."""

    default_code = "not-allowed"
    http_status = 403


class NotFound(CallerError):
    """There is no such thing, or it is not yours to see."""

    default_code = "not-found"
    http_status = 404


class Conflict(CallerError):
    """The thing is in a state that forbids this move."""

    default_code = "conflict"
    http_status = 409


class OutsideError(AicdError):
    """A service we depend on did not answer as it should; trying again may help.

    `retry_after_seconds` is what the service asked for, None when it said nothing.
    """

    default_code = "unavailable"
    exit_code = 4
    http_status = 503

    @property
    def retry_after_seconds(self) -> float | None:
        value = self.details.get("retry_after_seconds")
        return float(value) if value is not None else None


class BrokenPromise(AicdError):
    """We did not keep a promise of our own; this is a bug of ours."""

    default_code = "bug"
