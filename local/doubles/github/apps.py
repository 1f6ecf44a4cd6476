"""GitHub Apps: who an app is by its signed word, where it is installed, and tokens of an hour for an installation.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import jwt

from local.doubles.exchange import Answer, Call, RefusedCall, Request
from local.doubles.github.access import Caller, authorise
from local.doubles.github.nouns import App, Installation
from local.doubles.github.render import user
from local.doubles.github.repositories import Handlers
from local.doubles.github.state import GitHubState

FOR_APPS = ("apps/get-repo-installation", "apps/create-installation-access-token")
LONGEST_SECONDS = 600
LEEWAY_SECONDS = 5


def authorise_caller(state: GitHubState, call: Call, match: Any) -> Caller:
    """An app for the operations of apps, a token for all others; neither serves for the other."""
    if match.operation not in FOR_APPS:
        return authorise(state, call, match)
    app = read_app(state, call.headers.get("authorization", ""))
    repository = None
    if "owner" in match.path:
        repository = state.repository(match.path["owner"], match.path["repo"])
        if repository is None:
            raise RefusedCall(404, "Not Found")
    return Caller(app.as_token(), repository, app)


def read_app(state: GitHubState, authorization: str) -> App:
    """Raises RefusedCall 401 for anything but a fresh JWT that the app's own key has signed."""
    scheme, _, token = authorization.strip().partition(" ")
    try:
        issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
        app = next((app for app in state.apps.values() if issuer in (str(app.id), app.client_id)), None)
        if scheme.lower() != "bearer" or app is None:
            raise RefusedCall(401, "Integration not found")
        claims = jwt.decode(
            token, app.public_key, ["RS256"], options={"require": ["iss", "iat", "exp"]}, leeway=LEEWAY_SECONDS
        )
    except jwt.PyJWTError as error:
        raise RefusedCall(401, f"A JSON web token could not be decoded ({type(error).__name__})") from error
    if claims["exp"] > time.time() + LONGEST_SECONDS + LEEWAY_SECONDS:
        raise RefusedCall(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


class Apps:
    """What an app may ask before it may do anything."""

    def __init__(self, state: GitHubState, lifetime_seconds: int = 3600) -> None:
        self._state = state
        self._lifetime = lifetime_seconds

    def handlers(self) -> Handlers:
        return {
            "apps/get-repo-installation": self.find_installation,
            "apps/create-installation-access-token": self.create_token,
        }

    def find_installation(self, request: Request[Caller]) -> Answer:
        app, scene = _app(request), request.caller.scene
        for found in self._state.installations.values():
            if found.app_id == app.id and found.covers(scene):
                return Answer(document=self._show(request.call.base_url, app, found))
        raise RefusedCall(404, "Not Found")

    def create_token(self, request: Request[Caller]) -> Answer:
        app, wanted = _app(request), request.document or {}
        found = self._state.installations.get(request.path["installation_id"])
        if found is None or found.app_id != app.id:
            raise RefusedCall(404, "Not Found")
        permissions = wanted.get("permissions") or app.permissions
        if any(app.permissions.get(name) not in (level, "write") for name, level in permissions.items()):
            raise RefusedCall(422, "The permissions requested are not granted to this installation.")
        names = self._names(found, wanted.get("repositories"))
        ends_at = datetime.fromtimestamp(time.time() + self._lifetime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        token = self._state.create_token(None, permissions, names, f"{app.slug}[bot]", ends_at, found.owner)
        document = {"token": token.token, "expires_at": ends_at, "permissions": permissions}
        return Answer(201, document | {"repository_selection": "all" if names is None else "selected"})

    def _names(self, found: Installation, wanted: list[str] | None) -> tuple[str, ...] | None:
        if wanted is None:
            return found.repositories
        named = [self._state.repository(found.owner, name) for name in wanted]
        if any(repository is None or not found.covers(repository) for repository in named):
            raise RefusedCall(422, "There is at least one repository that does not exist or is not accessible.")
        return tuple(repository.full_name for repository in named if repository is not None)

    def _show(self, base: str, app: App, found: Installation) -> dict[str, Any]:
        account = user(base, found.owner)
        return {
            "id": found.id,
            "app_id": app.id,
            "client_id": app.client_id,
            "app_slug": app.slug,
            "account": account,
            "target_id": account["id"],
            "target_type": "Organization",
            "repository_selection": "all" if found.repositories is None else "selected",
            "permissions": app.permissions,
            "events": [],
            "access_tokens_url": f"{base}/app/installations/{found.id}/access_tokens",
            "repositories_url": f"{base}/installation/repositories",
            "html_url": f"{base}/organizations/{found.owner}/settings/installations/{found.id}",
            "single_file_name": None,
            "created_at": found.created_at,
            "updated_at": found.created_at,
            "suspended_by": None,
            "suspended_at": None,
        }


def _app(request: Request[Caller]) -> App:
    assert request.caller.app is not None, "authorise_caller lets only apps come here"
    return request.caller.app
