"""Which address does what, and what every call goes through: who, how often, what for, and once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controlplane.errors import NotFound
from functions._shared.api.callers import ApiCaller, Callers, Scope
from functions._shared.api.idempotency import serve_once
from functions._shared.api.ports import RequestStore
from functions._shared.api.refusals import Invalid
from functions._shared.endpoint import Call, refuse_method
from functions._shared.envelope import Answer

if TYPE_CHECKING:
    from functions.specs.answering import Answering
    from functions.specs.handing_in import HandingIn
    from functions.specs.looking import Looking

Serve = Callable[[Call, ApiCaller, str], Answer]
UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


@dataclass(frozen=True)
class Route:
    """`pattern` may have one group, an id, which is handed on in lower case. `open` gives what serves it: what a call
    does not need is not loaded for it."""

    method: str
    pattern: re.Pattern[str]
    scope: Scope
    open: Callable[[], Serve]


@dataclass(frozen=True)
class Api:
    """The wired function. Each of the three doors is opened when the first call comes through it."""

    callers: Callers
    requests: RequestStore
    handing_in: Callable[[], HandingIn]
    answering: Callable[[], Answering]
    looking: Callable[[], Looking]

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", re.compile("/specs"), "specs:write", lambda: self.handing_in().post_spec),
            Route("GET", re.compile("/specs"), "specs:read", lambda: self.looking().get_specs),
            Route("POST", re.compile("/specs/uploads"), "specs:write", lambda: self.handing_in().post_upload),
            Route("POST", re.compile(f"/specs/({UUID})/submit"), "specs:write", lambda: self.handing_in().post_submit),
            Route("POST", re.compile(f"/specs/({UUID})/answers"), "specs:write", lambda: self.answering().post_answer),
            Route("GET", re.compile(f"/specs/({UUID})"), "specs:read", lambda: self.looking().get_spec),
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
            return route.open()(call, caller, subject)
        return serve_once(call, caller, self.requests, lambda: route.open()(call, caller, subject))
