"""tick's entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.outbox.cancelling import cancel_work
from functions._shared.outbox.dispatching import dispatch_work
from functions._shared.outbox.telling import TellingSettings, open_notify_work
from functions._shared.settings import (
    TRUSTED_AUTHSERV_ID,
    Environment,
    GitHubSettings,
    GoogleSettings,
    SupabaseSettings,
)
from functions._shared.wiring import open_intake, open_store, read_caller_proof
from functions._shared.workflows.github import GitHubWorkflows
from functions.tick.safety_net import SafetyNet, TickSettings

if TYPE_CHECKING:
    import flask

POLL_AFTER_SECONDS = 300
# Longer than a run may wait for a runner and work: closing one that still lives would be worse than closing it late.
DEAD_AFTER_SECONDS = 6 * 3_600


@functools.cache
def wire() -> SafetyNet:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    proof = read_caller_proof(environment)
    supabase = SupabaseSettings.read(environment)
    google = GoogleSettings.read(environment)
    github = GitHubSettings.read(environment)
    authserv_id = environment.text("AICD_TRUSTED_AUTHSERV_ID", TRUSTED_AUTHSERV_ID)
    settings = TickSettings(
        topic=environment.text("GMAIL_TOPIC"),
        poll_after_seconds=environment.seconds("AICD_POLL_AFTER_SECONDS", POLL_AFTER_SECONDS),
        dead_after_seconds=environment.seconds("AICD_DEAD_RUN_SECONDS", DEAD_AFTER_SECONDS),
    )
    plans_letters = environment.switch("AICD_PLANNER", default=True)
    verifies_dkim = environment.switch("AICD_VERIFY_DKIM", default=False)
    telling = TellingSettings.read(environment, google)
    environment.check()
    store = open_store(supabase)
    workflows = GitHubWorkflows(github)
    work = (
        cancel_work(store, workflows),
        dispatch_work(store, workflows),
        open_notify_work(store, telling),
    )
    intake = open_intake(
        store,
        google,
        authserv_id,
        plans_letters=plans_letters,
        verifies_dkim=verifies_dkim,
        notice_domain=telling.domain,
    )
    return SafetyNet(proof, store, intake, work, settings)


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """POST / from the scheduler, each minute."""
    return serve(request, lambda call: wire().handle(call), component="tick")
