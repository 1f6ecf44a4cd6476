"""Puts the GitHub double together: one process, one folder, one ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from local.doubles.exchange import Answer, Call, Exchange
from local.doubles.faults import ApiFaults
from local.doubles.github.access import Caller
from local.doubles.github.actions import Actions
from local.doubles.github.apps import Apps, authorise_caller
from local.doubles.github.checks import Checks
from local.doubles.github.contract import API_VERSIONS, OpenApiContract
from local.doubles.github.control import Controls
from local.doubles.github.files import Files
from local.doubles.github.graphql import GraphQl
from local.doubles.github.issues import Issues
from local.doubles.github.oidc import Issuer
from local.doubles.github.pulls import Pulls
from local.doubles.github.refs import Refs
from local.doubles.github.repositories import Repositories
from local.doubles.github.smart_http import SmartHttp
from local.doubles.github.state import GitHubState
from local.doubles.journal import Journal
from local.doubles.server import api_endpoint, json_response
from local.doubles.signing import SigningKey
from local.doubles.validation import Problems

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class GitHubDouble:
    """The parts that a test may want to look at."""

    app: Starlette
    exchange: Exchange[Caller]
    problems: Problems
    state: GitHubState


def build_github(folder: Path, base_url: str) -> GitHubDouble:
    """`base_url` is the issuer of job tokens. Raises FolderInUseError when another process owns the folder."""
    journal = Journal(folder)
    problems, faults = Problems(), ApiFaults()
    state = GitHubState(journal, folder)
    issuer = Issuer(state, SigningKey(folder / "key.pem"), base_url)
    handlers = {
        **Repositories(state).handlers(),
        **Files(state).handlers(),
        **Refs(state).handlers(),
        **Pulls(state).handlers(),
        **Issues(state).handlers(),
        **Checks(state).handlers(),
        **Actions(state).handlers(),
        **Apps(state).handlers(),
    }
    exchange = Exchange(
        OpenApiContract(), lambda call, match: authorise_caller(state, call, match), handlers, problems, faults
    )

    def answer(call: Call) -> Answer:
        given = exchange.answer(call)
        limits = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4999", "x-ratelimit-used": "1"}
        version = call.headers.get("x-github-api-version", API_VERSIONS[0])
        return replace(given, headers={**limits, "x-github-api-version-selected": version, **given.headers})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        journal.close()

    smart = SmartHttp(state)

    async def git_endpoint(request: Request):  # type: ignore[no-untyped-def]
        return await smart(request)

    api = api_endpoint(answer)
    graphql = GraphQl(state, problems)
    routes = [
        *Controls(state, issuer, problems, faults).routes(),
        Route("/.well-known/openid-configuration", lambda _: json_response(200, issuer.discovery())),
        Route("/.well-known/jwks", lambda _: json_response(200, issuer.jwks())),
        Route("/graphql", api_endpoint(graphql.answer), methods=["POST"]),
        Route("/repos/{rest:path}", api, methods=METHODS),
        Route("/{owner}/{name}/info/refs", git_endpoint, methods=["GET"]),
        Route("/{owner}/{name}/git-upload-pack", git_endpoint, methods=["POST"]),
        Route("/{owner}/{name}/git-receive-pack", git_endpoint, methods=["POST"]),
        Route("/{rest:path}", api, methods=METHODS),
    ]
    return GitHubDouble(Starlette(routes=routes, lifespan=lifespan), exchange, problems, state)
