"""One API exchange: match it to a published operation, check it, authorise it, handle it, check the answer.

The same for every double. What differs is passed in: the contract (what the provider publishes and how its errors
look), the authoriser and the handlers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from local.doubles.faults import ApiFaults, Fault
from local.doubles.validation import Problems

C = TypeVar("C")


@dataclass(frozen=True)
class Call:
    """A request as it came in. `path` is still percent-encoded: a branch name may hold an encoded slash."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    base_url: str

    def one(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return next((value for key, value in reversed(self.query) if key == name), default)

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True)
class Match:
    """The published operation that a call addresses, and its decoded path parameters."""

    operation: str
    path: Mapping[str, str]


@dataclass(frozen=True)
class Request(Generic[C]):
    """A call that keeps the contract, made by a known caller."""

    call: Call
    operation: str
    path: Mapping[str, str]
    document: Any
    caller: C


@dataclass(frozen=True)
class Answer:
    """What goes back. `document` None means an empty body."""

    status: int = 200
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None


class RefusedCall(Exception):
    """The provider says no. `details` are fields of its error shape; `mismatch` also records a problem."""

    def __init__(self, status: int, message: str, *, mismatch: bool = False, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.mismatch = mismatch
        self.details = details


class Contract(Protocol):
    """What a provider publishes about its API."""

    def find(self, method: str, path: str) -> Match | None: ...

    def request_problems(self, match: Match, call: Call, document: object) -> list[str]: ...

    def answer_problems(self, match: Match | None, answer: Answer) -> list[str]: ...

    def refuse(self, refusal: RefusedCall) -> Answer: ...


class NotJson:
    """Stands for a body which is no JSON at all; no schema accepts it."""


@dataclass(frozen=True)
class Exchange(Generic[C]):
    """The checked conversation of one double with its callers."""

    contract: Contract
    authorise: Callable[[Call, Match], C]
    handlers: Mapping[str, Callable[[Request[C]], Answer]]
    problems: Problems
    faults: ApiFaults

    def answer(self, call: Call) -> Answer:
        """Never raises for anything that a caller can send."""
        match = self.contract.find(call.method, call.path)
        name = match.operation if match else f"{call.method} {call.path}"
        try:
            answer = self._handle(call, match)
        except RefusedCall as refusal:
            if refusal.mismatch:
                self.problems.record("request", name, [refusal.message])
            answer = self.contract.refuse(refusal)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the double's own fault and must be seen
            self.problems.record("answer", name, [f"the double failed: {type(error).__name__}: {error}"])
            return self.contract.refuse(RefusedCall(500, "The double failed; see /_double/problems"))
        if answer.fault is not None:
            return answer
        broken = self.contract.answer_problems(match, answer)
        if broken:
            self.problems.record("answer", name, broken)
            return self.contract.refuse(RefusedCall(500, f"The double broke its own contract: {broken[0]}"))
        return answer

    def _handle(self, call: Call, match: Match | None) -> Answer:
        if match is None:
            raise RefusedCall(404, f"{call.method} {call.path} is not a published operation", mismatch=True)
        document = _parse_body(call.body)
        wrong = self.contract.request_problems(match, call, document)
        if wrong:
            raise RefusedCall(400, "; ".join(wrong), mismatch=True)
        if match.operation not in self.handlers:
            raise RefusedCall(501, f"{match.operation} is published, but this double does not serve it", mismatch=True)
        request = Request(call, match.operation, match.path, document, self.authorise(call, match))
        return self._with_faults(request)

    def _with_faults(self, request: Request[C]) -> Answer:
        fault = self.faults.take(request.operation, request.call.path)
        if fault is None:
            return self.handlers[request.operation](request)
        answer = self.handlers[request.operation](request) if fault.after_effect else Answer(fault.status)
        word: dict[str, Any] = {"reason": fault.reason} if fault.reason else {}
        injected = RefusedCall(fault.status, "injected fault", **word)
        refusal = self.contract.refuse(injected) if fault.kind == "status" else answer
        headers = {"retry-after": str(fault.retry_after)} if fault.retry_after is not None else {}
        return Answer(refusal.status, refusal.document, {**refusal.headers, **headers}, fault)


def _parse_body(body: bytes) -> object:
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return NotJson()
