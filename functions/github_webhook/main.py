"""github-webhook's entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.settings import Environment, SupabaseSettings
from functions._shared.wiring import open_store
from functions.github_webhook.hook import Hook

if TYPE_CHECKING:
    import flask

# GitHub sends up to 25 MB; a pull request's or deployment's payload is some 30 kB.
BODY_LIMIT_BYTES = 2_000_000


@functools.cache
def wire() -> Hook:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    supabase = SupabaseSettings.read(environment)
    secret = environment.secret("AICD_GITHUB_WEBHOOK_SECRET")
    environment.check()
    return Hook(secret, open_store(supabase))


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """POST / from GitHub."""
    return serve(request, lambda call: wire().handle(call), component="github-webhook", limit_bytes=BODY_LIMIT_BYTES)
