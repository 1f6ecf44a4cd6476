"""mcp's entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import functions_framework

from controlplane.store.connection import Connection, connect
from controlplane.store.submissions import MemberCalls
from functions._shared.api.callers import Callers, presented_token
from functions._shared.endpoint import Call, serve
from functions._shared.envelope import NO_CONTENT, Answer, Rendered
from functions._shared.settings import Environment, SupabaseSettings
from functions._shared.wiring import open_store
from functions.mcp.desk import Desk
from functions.mcp.ports import KeyCalls, MembersCalls

if TYPE_CHECKING:
    import flask

    from functions.mcp.protocol import Response

BODY_LIMIT_BYTES = 256 * 1_024


@dataclass(frozen=True)
class AgentsDoor:
    """The wired function."""

    callers: Callers
    keys: KeyCalls
    members: MembersCalls

    def handle(self, call: Call) -> Response:
        """One request of MCP. Raises what serve() answers for: nobody without a token comes as far as the protocol."""
        caller = self.callers.prove(call.header("Authorization"))
        caller.require("specs:read")
        from functions.mcp.protocol import answer_call

        response = answer_call(call, Desk(caller, self.keys, self.members))
        response.headers |= caller.allowance.headers()
        return response


@functools.cache
def wire() -> AgentsDoor:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    supabase = SupabaseSettings.read(environment)
    environment.check()
    store = open_store(supabase)
    connection = Connection(url=supabase.url, publishable_key=supabase.publishable_key)
    members = MemberCalls(connect(connection, presented_token))
    return AgentsDoor(Callers(store, members), store, members)


@functions_framework.http
def main(request: flask.Request) -> Rendered | tuple[bytes, int, dict[str, str]]:
    """POST: MCP's streamable HTTP, without sessions and without streams."""
    answered: list[Response] = []

    def handle(call: Call) -> Answer:
        answered.append(wire().handle(call))
        return Answer(status=NO_CONTENT)

    refused = serve(request, handle, component="mcp", limit_bytes=BODY_LIMIT_BYTES)
    if not answered:
        return refused
    given = answered[0]
    kept = {"X-Correlation-Id": refused[2].get("X-Correlation-Id", ""), "Cache-Control": "no-store"}
    return given.body, given.status, {**given.headers, **kept}
