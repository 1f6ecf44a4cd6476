"""Puts the Google double together: one process, one folder, one ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.doubles.exchange import Call, Exchange
from local.doubles.faults import ApiFaults
from local.doubles.google.consent import Consent, PageError
from local.doubles.google.control import Controls
from local.doubles.google.delegation import GRANT_TYPE, Delegations
from local.doubles.google.discovery import DiscoveryContract
from local.doubles.google.gmail import Gmail
from local.doubles.google.identity import Identity, TokenRefusedError
from local.doubles.google.pubsub import Publisher, PushConfig, envelope
from local.doubles.google.state import MailState
from local.doubles.journal import Journal
from local.doubles.server import api_endpoint, json_response, read_call
from local.doubles.signing import SigningKey
from local.doubles.validation import Problems


@dataclass(frozen=True)
class GoogleDouble:
    """The parts that a test may want to look at."""

    app: Starlette
    exchange: Exchange[str]
    problems: Problems
    state: MailState


def build_google(folder: Path, push: PushConfig) -> GoogleDouble:
    """Raises FolderInUseError when another process owns the folder."""
    journal = Journal(folder)
    problems, faults = Problems(), ApiFaults()
    state = MailState(journal, folder)
    identity = Identity(journal, SigningKey(folder / "key.pem"), problems, state.now_ms)
    consent, delegations = Consent(identity), Delegations(journal, identity)
    publisher = Publisher(journal, identity, push)
    gmail = Gmail(state, publisher)
    contract = DiscoveryContract("gmail.v1")
    exchange = Exchange(
        contract, lambda call, match: identity.authorise(call, match, contract), gmail.handlers(), problems, faults
    )
    _check_push_shape(problems)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        publisher.start()
        yield
        publisher.close()
        journal.close()

    controls = Controls(state, identity, gmail, publisher, problems, faults, consent, delegations)
    routes = [
        *controls.routes(),
        Route("/oauth2/v1/certs", lambda _: _certificates(identity), methods=["GET"]),
        Route("/o/oauth2/v2/auth", _consent_page(consent), methods=["GET"]),
        Route("/token", _token_endpoint(identity, consent, delegations), methods=["POST"]),
        Route("/{rest:path}", api_endpoint(exchange.answer), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    return GoogleDouble(Starlette(routes=routes, lifespan=lifespan), exchange, problems, state)


def _check_push_shape(problems: Problems) -> None:
    """Judges the notification by Pub/Sub's own schema, once: its shape never varies."""
    message = envelope("1", {"emailAddress": "a@example.com", "historyId": 1}, "2026-11-21T00:00:00.000Z")["message"]
    # The second spelling is undocumented and real; the schema knows the first only.
    documented = {key: value for key, value in message.items() if "_" not in key}
    wrong = DiscoveryContract("pubsub.v1").schema_problems("PubsubMessage", documented, "push")
    if wrong:
        problems.record("answer", "pubsub push", wrong)


def _certificates(identity: Identity) -> Response:
    headers = {"cache-control": "public, max-age=21600, must-revalidate, no-transform"}
    return json_response(200, {identity.key.kid: identity.key.certificate()}, headers)


def _token_endpoint(identity: Identity, consent: Consent, delegations: Delegations):  # type: ignore[no-untyped-def]
    """One address for all grant types."""

    def answer(call: Call) -> dict[str, Any]:
        form = identity.read_form(call)
        if form.get("grant_type") == "authorization_code":
            return consent.redeem(form)
        if form.get("grant_type") == GRANT_TYPE:
            return delegations.redeem(form, f"{call.base_url}/token")
        return identity.refresh(form)

    async def endpoint(request: Request) -> Response:
        call = await read_call(request)
        try:
            return json_response(200, answer(call), {"cache-control": "no-store"})
        except TokenRefusedError as refusal:
            return json_response(refusal.status, {"error": refusal.code, "error_description": str(refusal)})

    return endpoint


def _consent_page(consent: Consent):  # type: ignore[no-untyped-def]
    async def endpoint(request: Request) -> Response:
        try:
            return Response(status_code=302, headers={"location": consent.agree(await read_call(request))})
        except PageError as error:
            return Response(str(error), 400, media_type="text/plain")

    return endpoint
