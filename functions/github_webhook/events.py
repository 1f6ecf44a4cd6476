"""GitHub's payloads → what is recorded; everything that is not needed for it is passed over.

Source: docs.github.com/webhooks/webhook-events-and-payloads, pull_request and deployment_status
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from functions._shared.api.refusals import Unreadable

MOST_CHARACTERS = 500


class Given(BaseModel):
    """A part of a payload."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Person(Given):
    login: str


class Repository(Given):
    id: int
    full_name: str


class PullRequest(Given):
    number: int
    html_url: str
    merged: bool = False
    merge_commit_sha: str | None = None
    merged_at: str | None = None
    merged_by: Person | None = None


class PullRequestPayload(Given):
    action: str
    pull_request: PullRequest
    repository: Repository


class Deployment(Given):
    sha: str
    environment: str


class DeploymentStatus(Given):
    state: str
    environment: str = ""
    environment_url: str = ""
    created_at: str | None = None
    creator: Person | None = None


class DeploymentPayload(Given):
    deployment: Deployment
    deployment_status: DeploymentStatus
    repository: Repository


Event = Mapping[str, Any]


def read_event(name: str, document: Any) -> Event | None:
    """p_event of record_github_event_v1; None for what is not recorded. Raises Unreadable."""
    reader = READERS.get(name)
    if reader is None:
        return None
    try:
        return reader(document)
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors(include_input=False)[0]["loc"])
        raise Unreadable(
            f"This is no {name} payload of GitHub's (at {place}).", code="payload-not-understood"
        ) from error


def _pull_request(document: Any) -> Event | None:
    given = PullRequestPayload.model_validate(document)
    changed = given.pull_request
    kind = {"closed": "merged" if changed.merged else "closed", "reopened": "reopened"}.get(given.action)
    if kind is None:
        return None
    return _bounded(
        given.repository,
        kind=kind,
        number=changed.number,
        url=changed.html_url,
        commit=changed.merge_commit_sha if changed.merged else None,
        at=changed.merged_at,
        by=changed.merged_by.login if changed.merged_by else None,
    )


def _deployment_status(document: Any) -> Event | None:
    given = DeploymentPayload.model_validate(document)
    status = given.deployment_status
    if status.state != "success":
        return None
    return _bounded(
        given.repository,
        kind="deployed",
        commit=given.deployment.sha,
        environment=status.environment or given.deployment.environment,
        url=status.environment_url or None,
        at=status.created_at,
        by=status.creator.login if status.creator else None,
    )


def _bounded(repository: Repository, **facts: Any) -> Event:
    facts |= {"repo": repository.full_name, "repository_id": str(repository.id)}
    return {
        name: value[:MOST_CHARACTERS] if isinstance(value, str) else value
        for name, value in facts.items()
        if value is not None
    }


# One line for each event that is recorded.
READERS: dict[str, Callable[[Any], Event | None]] = {
    "pull_request": _pull_request,
    "deployment_status": _deployment_status,
}
