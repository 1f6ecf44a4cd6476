"""What an operator would set up once at Google and GitHub, done at the doubles over their control endpoints."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx

from local.stack.identity import MAILBOX, StackIdentity
from local.stack.places import shipped

WORKFLOW_PATH = ".github/workflows/aicd.yml"
WORKFLOW_SOURCE = shipped("examples/workflows/aicd.yml")
TIMEOUT_SECONDS = 60.0
DOUBLES = ("google", "github", "anthropic")
# Somebody who tries the line out writes more bad mails in an hour than a customer in a year.
LOCAL_ANSWERS_PER_DAY = 10_000


def prepare_mailbox(identity: StackIdentity) -> dict[str, str]:
    """The mailbox at both sides; → the OAuth grant on it: `{client_id, client_secret, refresh_token, token_uri}`."""
    from local.administration import Administration

    with Administration(identity.db_url) as operator:
        operator.create_mailbox(MAILBOX)
        operator.limit_answers(LOCAL_ANSWERS_PER_DAY)
    google = identity.url("google")
    grant: dict[str, str] = _checked(
        httpx.post(f"{google}/_double/accounts", json={"email": MAILBOX}, timeout=TIMEOUT_SECONDS)
    ).json()
    return grant


def prepare_github(identity: StackIdentity) -> None:
    """The token by which dispatch starts workflows and by which the action clones, pushes and opens pull requests."""
    with _client(identity) as github:
        _checked(github.post("/_double/tokens", json={"token": identity.github_token}))


def prepare_repository(
    identity: StackIdentity, repo: str, *, files: dict[str, str] | None = None, secrets: dict[str, str] | None = None
) -> dict[str, int]:
    """Make the repository with our workflow, if absent, and give its Actions their secrets.

    → GitHub's numbers for it, `{repository_id, repository_owner_id}`, by which a project pins it.
    """
    owner, name = repo.split("/")
    content = {"README.md": f"# {name}\n", **(files or {}), WORKFLOW_PATH: WORKFLOW_SOURCE.read_text()}
    with _client(identity) as github:
        made = _checked(github.post("/_double/repos", json={"owner": owner, "name": name, "files": content})).json()
        for key, value in {"GITHUB_TOKEN": identity.github_token, **(secrets or {})}.items():
            _checked(github.put(f"/_double/repos/{repo}/secrets/{key}", json={"value": value}))
    return {"repository_id": made["id"], "repository_owner_id": made["owner_id"]}


def repository_path(identity: StackIdentity, repo: str) -> Path:
    """The bare git repository behind a repository of the double."""
    return Path(identity.data) / "github" / "repos" / f"{repo}.git"


def read_problems(identity: StackIdentity, parts: Collection[str] = DOUBLES[:2]) -> list[str]:
    """Every mismatch with a published schema that one of the doubles among `parts` has seen, in words."""
    found: list[str] = []
    for part in (name for name in DOUBLES if name in parts):
        answer = _checked(httpx.get(f"{identity.url(part)}/_double/problems", timeout=TIMEOUT_SECONDS)).json()
        found += [f"{part}: {problem['operation']}: {'; '.join(problem['details'])}" for problem in answer]
    return found


def _client(identity: StackIdentity) -> httpx.Client:
    return httpx.Client(base_url=identity.url("github"), timeout=TIMEOUT_SECONDS)


def _checked(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return answer
