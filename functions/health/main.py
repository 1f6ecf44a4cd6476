"""health's entry point. Liveness needs no environment; readiness reads it and names what is missing."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import functions_framework

from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.settings import Environment, SupabaseSettings
from functions._shared.wiring import open_store
from functions.health.checks import Check, Health

if TYPE_CHECKING:
    import flask


@functools.cache
def dependencies() -> Mapping[str, Check]:
    """The checks by name; kept for the process once the environment is complete."""
    environment = Environment(os.environ)
    supabase = SupabaseSettings.read(environment)
    environment.check()
    return {"supabase": open_store(supabase).list_mailboxes}


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """GET /health, /health/live, /health/ready."""
    return serve(request, Health(dependencies).handle, component="health", methods=("GET", "HEAD"))
