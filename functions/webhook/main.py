"""webhook's entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from functions._shared.api.submit import Intake
from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.settings import Environment, SupabaseSettings
from functions._shared.wiring import open_store
from functions.webhook.door import Door

if TYPE_CHECKING:
    import flask

# The signature is checked in the database, so every byte goes there once more.
BODY_LIMIT_BYTES = 262_144


@functools.cache
def wire() -> Door:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    supabase = SupabaseSettings.read(environment)
    plans_letters = environment.switch("AICD_PLANNER", default=True)
    environment.check()
    store = open_store(supabase)
    return Door(store, Intake(store, plans_letters, door="webhook"))


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """POST /SOURCE."""
    return serve(request, lambda call: wire().handle(call), component="webhook", limit_bytes=BODY_LIMIT_BYTES)
