"""Puts the double of the Messages API together: one script, one ASGI application, everything received kept.

`/v1/messages` (document or stream), `/v1/messages/count_tokens`, `/v1/oauth/token`, `HEAD /api/hello`; control under
`/_double/`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from local.doubles.anthropic.answer import error_document, fault_answer, message_document, stream_events
from local.doubles.anthropic.contract import answer_problems, find_problems
from local.doubles.anthropic.conversation import Conversation
from local.doubles.anthropic.federation import BETAS, TokenDesk
from local.doubles.anthropic.scenario import Fault, Scenario, Script, Step, load_scenario
from local.doubles.server import RefusedControlError, control_route, json_response, parse_control
from local.doubles.validation import Problems

NO_FAULT = Fault(kind="slow")


@dataclass(frozen=True)
class Received:
    """One request for a message. `key` is what the caller proved himself with, `style` how: x-api-key or bearer."""

    path: str
    headers: dict[str, str]
    key: str
    style: str
    document: Any


@dataclass
class AnthropicDouble:
    """The parts that a test may want to look at; `script` may be exchanged while it runs."""

    script: Script
    problems: Problems = field(default_factory=Problems)
    received: list[Received] = field(default_factory=list)
    tokens: TokenDesk | None = None
    _faults: dict[tuple[int, bool], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.set_script(self.script)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/hello", lambda _: Response(status_code=200), methods=["GET", "HEAD"]),
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._count, methods=["POST"]),
                Route("/v1/oauth/token", self._exchange_identity, methods=["POST"]),
                control_route("/problems", "GET", lambda *_: self.problems.as_documents()),
                control_route("/problems", "DELETE", lambda *_: self.problems.clear()),
                control_route("/requests", "GET", lambda *_: [one.__dict__ for one in self.received]),
                control_route("/scenario", "POST", lambda call, _: self._exchange(parse_control(call))),
                Route("/{rest:path}", self._unknown, methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )

    def set_script(self, script: Script) -> None:
        """Another script; faults are counted from the beginning, and tokens of the last one are dead."""
        federation = script.federation if isinstance(script, Scenario) else None
        with self._lock:
            self.script, self._faults = script, {}
            self.tokens = TokenDesk(federation) if federation else None

    async def _messages(self, request: Request) -> Response:
        document, refused = await self._let_in(request)
        if refused is not None:
            return refused
        conversation = Conversation(document)
        step = await asyncio.to_thread(self.script, conversation)
        if step.data is not None:
            wrong = answer_problems(conversation.wants_structure, step.data)
            if wrong:
                self.problems.record("answer", "messages", wrong)
                return json_response(500, error_document(500, f"The double broke the schema: {wrong[0]}"))
        fault = self._take_fault(step, conversation)
        if fault.kind in ("status", "limit-text", "limit-header"):
            status, body, headers = fault_answer(fault)
            return json_response(status, body, headers)
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "garbage":
            return Response(b"<html>upstream says \xff\xfe", 200, media_type="text/html")
        if document.get("stream"):
            return StreamingResponse(_stream(step, conversation, fault), media_type="text/event-stream")
        return json_response(200, message_document(step, conversation), {"request-id": "req_double"})

    async def _count(self, request: Request) -> Response:
        document, refused = await self._let_in(request)
        return refused or json_response(200, {"input_tokens": len(json.dumps(document)) // 4})

    async def _exchange_identity(self, request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.body()
        if self.tokens is None:
            return await self._unknown(request)
        status, kind, answer, wrong = await asyncio.to_thread(self.tokens.exchange, headers, body)
        if wrong:
            self.problems.record("request", "oauth/token", wrong)
        document = answer if status == 200 else error_document(status, answer, kind)
        return json_response(status, document, {"request-id": "req_double"})

    async def _unknown(self, request: Request) -> Response:
        self.problems.record("request", request.url.path, [f"{request.method} is not an operation that we know"])
        return json_response(404, error_document(404, "Not found"))

    async def _let_in(self, request: Request) -> tuple[Any, Response | None]:
        """The body of a request that proves itself and keeps the contract, or the refusal."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        key, style = _proof(headers)
        try:
            document = json.loads(await request.body())
        except (ValueError, RecursionError):
            document = None
        counting = request.url.path.endswith("count_tokens")
        with self._lock:
            self.received.append(Received(request.url.path, headers, key, style, document))
        known = self.script.keys if isinstance(self.script, Scenario) else ()
        if not key or (known and key not in known):
            return None, json_response(401, error_document(401, "invalid x-api-key"))
        if self.tokens is not None and not (style == "bearer" and self.tokens.admits(key)):
            return None, json_response(401, error_document(401, "OAuth token is unknown or has expired"))
        judged = {"max_tokens": 1, **document} if counting and isinstance(document, dict) else document
        wrong = find_problems(headers, judged, beta=request.query_params.get("beta") == "true")
        if key.startswith("sk-ant-oat") and BETAS[0] not in headers.get("anthropic-beta", "").split(","):
            wrong.append(f"anthropic-beta: a token of this kind needs {BETAS[0]}")
        if wrong:
            self.problems.record("request", "messages", wrong)
            return None, json_response(400, error_document(400, "; ".join(wrong)))
        return document, None

    def _take_fault(self, step: Step, conversation: Conversation) -> Fault:
        if step.fault is None:
            return NO_FAULT
        place = (conversation.turn, conversation.wants_structure is not None)
        with self._lock:
            played = self._faults.get(place, 0)
            if step.fault.times and played >= step.fault.times:
                return NO_FAULT
            self._faults[place] = played + 1
        return step.fault

    def _exchange(self, order: dict[str, Any]) -> dict[str, Any]:
        """`{"scenario": NAME}`, or a whole scenario."""
        try:
            script = load_scenario(order["scenario"]) if "scenario" in order else Scenario.model_validate(order)
        except ValueError as error:
            raise RefusedControlError(422, str(error)) from error
        self.set_script(script)
        return {}


def build_anthropic(script: Script) -> AnthropicDouble:
    return AnthropicDouble(script)


async def _stream(step: Step, conversation: Conversation, fault: Fault) -> AsyncIterator[bytes]:
    events = list(stream_events(step, conversation))
    most = max(len(events) // 2, 2) if fault.kind in ("cut", "late") else len(events)
    if fault.kind == "late":
        events[most:] = [("error", fault_answer(fault)[1])]
        most += 1
    for name, data in events[:most]:
        yield f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
        if fault.kind == "slow" and fault.seconds:
            await asyncio.sleep(fault.seconds)


def _proof(headers: dict[str, str]) -> tuple[str, str]:
    """(key, style). Both styles are in use: the CLI's x-api-key, and the bearer token of SDK and subscription."""
    if headers.get("x-api-key"):
        return headers["x-api-key"], "x-api-key"
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return (token, "bearer") if scheme.lower() == "bearer" else ("", "")
