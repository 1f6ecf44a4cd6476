"""gmail-push's entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from functions._shared.callers.oidc import OidcProof
from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.settings import (
    TRUSTED_AUTHSERV_ID,
    CallerSettings,
    Environment,
    GoogleSettings,
    SupabaseSettings,
)
from functions._shared.wiring import NOTICE_DOMAIN, open_intake, open_store
from functions.gmail_push.push import Push

if TYPE_CHECKING:
    import flask


@functools.cache
def wire() -> Push:
    """Built at the first request and kept for the process: Google's keys and connections are reused."""
    environment = Environment(os.environ)
    callers = CallerSettings.read(environment, "AICD_PUSH")
    supabase = SupabaseSettings.read(environment)
    google = GoogleSettings.read(environment)
    authserv_id = environment.text("AICD_TRUSTED_AUTHSERV_ID", TRUSTED_AUTHSERV_ID)
    plans_letters = environment.switch("AICD_PLANNER", default=True)
    verifies_dkim = environment.switch("AICD_VERIFY_DKIM", default=False)
    domain = environment.text("AICD_NOTICE_DOMAIN", NOTICE_DOMAIN)
    environment.check()
    intake = open_intake(
        open_store(supabase),
        google,
        authserv_id,
        plans_letters=plans_letters,
        verifies_dkim=verifies_dkim,
        notice_domain=domain,
    )
    return Push(OidcProof(callers), intake)


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """POST / from Pub/Sub."""
    return serve(request, lambda call: wire().handle(call), component="gmail-push")
