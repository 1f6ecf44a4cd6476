"""notify's entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.outbox.drainer import Drainer
from functions._shared.outbox.telling import TellingSettings, open_notify_work
from functions._shared.settings import Environment, SupabaseSettings
from functions._shared.wiring import open_store, read_caller_proof

if TYPE_CHECKING:
    import flask


@functools.cache
def wire() -> Drainer:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    proof = read_caller_proof(environment)
    supabase = SupabaseSettings.read(environment)
    telling = TellingSettings.read(environment)
    environment.check()
    store = open_store(supabase)
    return Drainer(proof, store, (open_notify_work(store, telling),))


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """POST / from the database's webhook or the scheduler."""
    return serve(request, lambda call: wire().handle(call), component="notify")
