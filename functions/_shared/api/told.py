"""What callers are told, as models. Times are ISO 8601 with an offset, states docs/states.md's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from controlplane.spec import Format
from controlplane.states import Phase, Result, SprintState
from functions._shared.api.asked import SpecState

Data = TypeVar("Data")


class Told(BaseModel):
    """Frozen; what a later version of the database adds is passed over, so that it may be deployed first."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SprintLine(Told):
    id: UUID
    label: str
    position: int
    state: SprintState


class RunLine(Told):
    """`result` is null while it lasts."""

    id: UUID
    sprint_id: UUID
    attempt: int
    result: Result | None


class Links(Told):
    """Paths of this API."""

    self: str = Field(description="GET: status, sprints, runs, artifacts.")


class SpecLine(Told):
    """A specification as a list shows it."""

    id: UUID
    repo: str
    branch: str | None
    name: str
    title: str
    format: Format
    sha256: str = Field(description="Of the bytes as received.")
    size: int | None
    created_by: str
    created_at: datetime
    state: SpecState
    sprints: tuple[SprintLine, ...]
    links: Links


class SubmittedSpec(SpecLine):
    """What became of a submission."""

    spec_id: UUID = Field(description="The same as `id`.")
    duplicate: bool = Field(description="The same bytes were here already; this is that specification.")
    runs: tuple[RunLine, ...]
    notes: tuple[str, ...] = Field((), description="What was read and passed over; nothing that stops anything.")


class OpenQuestion(Told):
    id: str
    text: str
    blocking: bool = Field(description="False where the work can go on with a guess.")
    asked_at: datetime


class SprintPage(SprintLine):
    dod: dict[str, Any]
    resume_at: datetime | None
    questions: tuple[dict[str, Any], ...] = Field(description="All that were asked so far.")
    open_questions: tuple[OpenQuestion, ...] = Field(description="What waits for POST /specs/{id}/answers.")


class AnsweredSprint(SprintLine):
    run_id: UUID | None = Field(
        description="The run that goes on with it; null where it waits for approval or for another sprint."
    )


class AnsweredSpec(Told):
    """Whom an answer has going on."""

    id: UUID
    spec_id: UUID = Field(description="The same as `id`.")
    repo: str
    sprints: tuple[AnsweredSprint, ...]
    links: Links


class Artifact(Told):
    id: UUID
    run_id: UUID
    kind: str
    name: str
    content_type: str
    size: int
    sha256: str | None
    created_at: datetime
    url: str | None = Field(description="Opens without a token until `expires_at`; null where it is not kept any more.")
    expires_at: datetime | None


class RunPage(RunLine):
    """`verdict` is what `aicd gate --json` prints; null while there is none."""

    ci_run_id: str | None
    ci_url: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    branch: str | None
    commit: str | None
    pull_request: dict[str, Any] | None
    verdict: dict[str, Any] | None
    error: dict[str, Any] | None
    artifacts: tuple[Artifact, ...]


class Event(Told):
    id: UUID
    run_id: UUID | None
    phase: Phase
    message: str
    created_at: datetime


class SpecPage(SpecLine):
    """All about one specification: its newest fifty runs, their newest two hundred artifacts, the first two hundred
    events."""

    spec_id: UUID = Field(description="The same as `id`.")
    sprints: tuple[SprintPage, ...]
    runs: tuple[RunPage, ...] = Field(description="Newest first.")
    verdict: dict[str, Any] | None = Field(description="Of the newest run that has one.")
    pull_requests: tuple[dict[str, Any], ...] = Field(description="Each once, newest first.")
    events: tuple[Event, ...] = Field(description="Oldest first.")


class Upload(Told):
    """Where to store the bytes: `curl -X PUT -H 'content-type: …' --data-binary @FILE URL`, once, within two hours."""

    id: UUID = Field(description="The specification's id to be.")
    spec_id: UUID = Field(description="The same as `id`.")
    method: Literal["PUT"] = "PUT"
    url: str = Field(description="Signed: needs no token, and is nobody else's to know.")
    headers: dict[str, str] = Field(description="To be sent along.")
    bucket: Literal["specs"] = "specs"
    path: str = Field(description="With `token` and `bucket`, for the official client's upload_to_signed_url.")
    token: str
    submit: str = Field(description="POST here when the bytes are stored.")
    expires_at: datetime = Field(description="Until then it may be submitted.")


class Problem(Told):
    """`field` is a dotted path into what was sent, `line` and `column` count from 1."""

    code: str = Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")
    message: str
    field: str | None = None
    line: int | None = None
    column: int | None = None


class Meta(Told):
    correlation_id: str = Field(description="Names this request in our logs.")


class PageMeta(Meta):
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class FailureMeta(Meta):
    notes: tuple[str, ...] = Field((), description="Of a refused specification: unknown keys and the like.")


class Failure(Told):
    """The envelope of every refusal."""

    data: None
    meta: FailureMeta
    errors: tuple[Problem, ...] = Field(min_length=1)


class Success(Told, Generic[Data]):
    """The envelope of every answer."""

    data: Data
    meta: Meta
    errors: tuple[Problem, ...] = Field((), max_length=0)


class Page(Success[tuple[SpecLine, ...]]):
    meta: PageMeta
