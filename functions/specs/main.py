"""specs' entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from controlplane.store.connection import Connection, connect
from controlplane.store.submissions import MemberCalls
from functions._shared.api.callers import Callers, presented_token
from functions._shared.api.cors import read_origins, share
from functions._shared.bucket import read_bucket
from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.settings import Environment, SupabaseSettings
from functions._shared.wiring import open_store
from functions.specs.routes import Api

if TYPE_CHECKING:
    import flask

    from functions.specs.answering import Answering
    from functions.specs.handing_in import HandingIn
    from functions.specs.looking import Looking

# A specification of 1 MiB as a JSON text, with every other character escaped; whatever is larger is uploaded.
BODY_LIMIT_BYTES = 2 * 1_024 * 1_024


@functools.cache
def wire() -> Api:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    supabase = SupabaseSettings.read(environment)
    plans_letters = environment.switch("AICD_PLANNER", default=True)
    bucket = read_bucket(environment)
    read_origins(environment)  # so that `check` tells what is wrong with them
    environment.check()
    store = open_store(supabase)
    connection = Connection(url=supabase.url, publishable_key=supabase.publishable_key)
    members = MemberCalls(connect(connection, presented_token))

    @functools.cache
    def open_handing_in() -> HandingIn:
        from functions._shared.api.submit import Intake
        from functions.specs.handing_in import HandingIn

        return HandingIn(Intake(store, plans_letters), store)

    @functools.cache
    def open_answering() -> Answering:
        from functions.specs.answering import Answering

        return Answering(store)

    @functools.cache
    def open_looking() -> Looking:
        from functions.specs.looking import Looking

        return Looking(store, members, bucket)

    return Api(Callers(store, members), store, open_handing_in, open_answering, open_looking)


@functools.cache
def origins() -> frozenset[str]:
    """The origins whose pages may call; none where they cannot be read."""
    return read_origins(Environment(os.environ))


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """/specs and below, and /openapi.json."""
    return share(request, origins(), lambda: answer_call(request))


def answer_call(request: flask.Request) -> Rendered:
    """What is said to everybody, wherever he calls from."""
    if request.path == "/openapi.json" and request.method in ("GET", "HEAD"):
        from functions.specs.openapi import render

        return render()
    return serve(
        request,
        lambda call: wire().handle(call),
        component="specs",
        methods=None,
        limit_bytes=BODY_LIMIT_BYTES,
    )
