"""dispatch's entry point: environment → settings → the wired function."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import functions_framework

from functions._shared.endpoint import serve
from functions._shared.envelope import Rendered
from functions._shared.outbox.cancelling import cancel_work
from functions._shared.outbox.dispatching import dispatch_work
from functions._shared.outbox.drainer import Drainer
from functions._shared.settings import Environment, GitHubSettings, SupabaseSettings
from functions._shared.wiring import open_store, read_caller_proof
from functions._shared.workflows.github import GitHubWorkflows

if TYPE_CHECKING:
    import flask


@functools.cache
def wire() -> Drainer:
    """Built at the first request and kept for the process."""
    environment = Environment(os.environ)
    proof = read_caller_proof(environment)
    supabase = SupabaseSettings.read(environment)
    github = GitHubSettings.read(environment)
    environment.check()
    store = open_store(supabase)
    workflows = GitHubWorkflows(github)
    return Drainer(proof, store, (cancel_work(store, workflows), dispatch_work(store, workflows)))


@functions_framework.http
def main(request: flask.Request) -> Rendered:
    """POST / from the database's webhook or the scheduler."""
    return serve(request, lambda call: wire().handle(call), component="dispatch")
