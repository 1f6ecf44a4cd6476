"""Which address does what, and what every call goes through: who, how often, what for, and once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from controlplane.errors import NotFound
from functions._shared.api.callers import ApiCaller, Callers, Scope
from functions._shared.api.idempotency import serve_once
from functions._shared.api.ports import RequestStore
from functions._shared.api.refusals import Invalid
from functions._shared.endpoint import Call, refuse_method
from functions._shared.envelope import Answer
from functions.specs.answering import Answering
from functions.specs.handing_in import HandingIn
from functions.specs.looking import Looking

Serve = Callable[[Call, ApiCaller, str], Answer]
UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


@dataclass(frozen=True)
class Route:
    """`pattern` may have one group, an id, which is handed on in lower case."""

    method: str
    pattern: re.Pattern[str]
    scope: Scope
    serve: Serve


@dataclass(frozen=True)
class Api:
    """The wired function."""

    callers: Callers
    requests: RequestStore
    handing_in: HandingIn
    answering: Answering
    looking: Looking

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", re.compile("/specs"), "specs:write", self.handing_in.post_spec),
            Route("GET", re.compile("/specs"), "specs:read", self.looking.get_specs),
            Route("POST", re.compile("/specs/uploads"), "specs:write", self.handing_in.post_upload),
            Route("POST", re.compile(f"/specs/({UUID})/submit"), "specs:write", self.handing_in.post_submit),
            Route("POST", re.compile(f"/specs/({UUID})/answers"), "specs:write", self.answering.post_answer),
            Route("GET", re.compile(f"/specs/({UUID})"), "specs:read", self.looking.get_spec),
        )

    def handle(self, call: Call) -> Answer:
        """One call. Raises what serve() answers for."""
        path = call.path.rstrip("/") or "/"
        here = [(route, match) for route in self.routes() if (match := route.pattern.fullmatch(path))]
        if not here:
            raise NotFound("There is nothing at this address.", fix="GET /openapi.json lists what there is.")
        for route, match in here:
            if route.method == call.method:
                return self._serve(route, call, "".join(match.groups()).lower())
        return refuse_method(call.method, tuple(sorted(route.method for route, _ in here)))

    def _serve(self, route: Route, call: Call, subject: str) -> Answer:
        caller = self.callers.prove(call.header("Authorization"))
        caller.require(route.scope)
        try:
            answer = self._answer(route, call, caller, subject)
        except Invalid as error:
            answer = error.answer()
        return replace(answer, headers={**answer.headers, **caller.allowance.headers()})

    def _answer(self, route: Route, call: Call, caller: ApiCaller, subject: str) -> Answer:
        if route.method == "GET":
            return route.serve(call, caller, subject)
        return serve_once(call, caller, self.requests, lambda: route.serve(call, caller, subject))
