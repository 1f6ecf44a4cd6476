"""By what right a repository is spoken to: its own token, its owner's, the GitHub App's, or the one for all.

Clients are kept: a token's for the life of the process, an installation's until shortly before its token ends.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.errors import OutsideError
from controlplane.logs import hide_secret
from functions._shared.settings import GitHubSettings
from functions._shared.workflows.port import WorkflowRefused

if TYPE_CHECKING:
    from github import Auth, Github
    from urllib3.util.retry import Retry

TIMEOUT_SECONDS = 15
API_VERSION = "2022-11-28"
NEWEST_RUNS = 100
# An installation's token lives for an hour; this is more than the longest call takes.
BEFORE_END_SECONDS = 300.0
NEEDED = {"actions": "write"}
NOT_FOUND, UNPROCESSABLE = 404, 422


@dataclass(frozen=True)
class _Open:
    client: Github
    ends_at: float = float("inf")


class GitHubAccess:
    """Building it costs nothing; the first client does. Safe to use from several threads."""

    def __init__(self, settings: GitHubSettings, timeout_seconds: int = TIMEOUT_SECONDS) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._clients: dict[str, Github] = {}

    def client_for(self, repo: str) -> Github:
        """Raises what PyGithub raises, and WorkflowRefused where nothing was given for this repository."""
        name = repo.lower()
        known = self._open.get(name)
        if known is None or known.ends_at <= time.time():
            # Without the lock: others need not wait for this repository's answer from GitHub.
            known = self._build(name)
            with self._lock:
                self._open[name] = known
        return known.client

    def forget(self, repo: str) -> None:
        """Look anew next time: the app may have been installed again meanwhile."""
        with self._lock:
            self._open.pop(repo.lower(), None)

    def _build(self, name: str) -> _Open:
        settings, owner = self._settings, name.partition("/")[0]
        exact = settings.tokens.get(name) or settings.tokens.get(owner)
        if exact is not None:
            return _Open(self._share(exact.get_secret_value()))
        installed = self._ask_app(name) if settings.app_id else None
        if installed is not None:
            return installed
        if settings.token.get_secret_value():
            return _Open(self._share(settings.token.get_secret_value()))
        raise WorkflowRefused(
            f"We have no right to start workflows in {name}.",
            fix="Install the GitHub App for this repository, or name it in AICD_GITHUB_TOKENS.",
            code="no-github-credential",
        )

    def _ask_app(self, name: str) -> _Open | None:
        """None where the app is not installed for this repository."""
        from github import GithubIntegration
        from github.GithubException import GithubException

        app = GithubIntegration(auth=self._sign(), **self._options())
        try:
            installation = app.get_repo_installation(*name.split("/"))
            given = app.get_access_token(installation.id, NEEDED)
        except GithubException as error:
            if error.status == NOT_FOUND:
                return None
            if error.status == UNPROCESSABLE:
                raise _unfit(
                    "may not start workflows",
                    "Give the app the permission 'Actions: write', and accept it where it is installed",
                ) from error
            raise
        hide_secret(given.token)
        return _Open(self._connect(given.token), given.expires_at.timestamp() - BEFORE_END_SECONDS)

    def _sign(self) -> Auth.AppAuth:
        """The app, once it is certain that its key can sign."""
        from github import Auth
        from jwt import PyJWTError

        app = Auth.AppAuth(self._settings.app_id, self._settings.app_private_key.get_secret_value())
        try:
            app.create_jwt()
        except (PyJWTError, ValueError, TypeError) as error:
            fix = "Set AICD_GITHUB_APP_PRIVATE_KEY to the PEM file that GitHub made for the app"
            raise _unfit("has a private key that cannot be read", fix) from error
        return app

    def _share(self, token: str) -> Github:
        """One client for all repositories of a token, so that they share its connections."""
        with self._lock:
            return self._clients.setdefault(token, self._connect(token))

    def _connect(self, token: str) -> Github:
        from github import Auth, Github

        return Github(auth=Auth.Token(token), **self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "base_url": self._settings.api_url.rstrip("/"),
            "timeout": self._timeout_seconds,
            "per_page": NEWEST_RUNS,
            "retry": _refuse_redirections(),
            "seconds_between_requests": 0,
            "seconds_between_writes": 0,
            "lazy": True,
            "api_version": API_VERSION,
        }


def _refuse_redirections() -> Retry:
    """No retries; and an error for the redirections that PyGithub does not follow, which it takes for an empty success:
    a dispatch would be lost, and a run that was started not found."""
    from urllib3.util.retry import Retry

    return Retry(total=0, status_forcelist=(300, 302, 303, 305, 307, 308), allowed_methods=None)


def _unfit(what: str, fix: str) -> OutsideError:
    return OutsideError(
        f"The GitHub App of AICD_GITHUB_APP_ID {what}.",
        fix=f"{fix}; the work is kept and tried again.",
        code="github-credentials",
    )
