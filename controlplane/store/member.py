"""A member's side of the database: what he may look at, under the policies of role authenticated.

Lists are paged by key: hand the last row that you have (`before`, `after`) to get what follows it; a page shorter than
its limit is the last one. What is not the member's looks the same as what does not exist. Every method raises
OutsideError when Supabase cannot be reached, and NotAuthenticated or NotAllowed when the token does not count.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from controlplane.errors import BrokenPromise, NotFound
from controlplane.states import Phase, Result, SprintState
from controlplane.store.calls import Caller


class Row(BaseModel):
    """Frozen; what a later version of the database adds is passed over, so that it may be deployed first."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ProjectRow(Row):
    id: UUID
    organisation_id: UUID
    name: str
    repo: str
    default_branch: str
    created_at: datetime


class SprintLine(Row):
    """A sprint as a list shows it."""

    id: UUID
    label: str
    position: int
    state: SprintState


class SpecRow(Row):
    """A specification with its sprints, in the order in which they are built."""

    id: UUID
    project_id: UUID
    repo: str
    branch: str | None
    name: str
    title: str
    format: str
    sha: str
    size: int | None
    created_by: str
    created_at: datetime
    sprints: tuple[SprintLine, ...]


class RunRow(Row):
    """`result` is None while it lasts."""

    id: UUID
    sprint_id: UUID
    spec_id: UUID
    project_id: UUID
    attempt: int
    ci_run_id: str | None
    ci_url: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    result: Result | None
    branch: str | None
    commit: str | None
    pull_request: dict[str, Any] | None


class EventRow(Row):
    """`run_id` is None for what came before any run."""

    id: UUID
    run_id: UUID | None
    spec_id: UUID
    project_id: UUID
    phase: Phase
    message: str
    metadata: dict[str, Any]
    created_at: datetime


class ArtifactRow(Row):
    """`storage_path` is its key in the bucket `artifacts`, which the member's token opens, too; or below `store`, an
    address s3://bucket/prefix, which it does not. `encoding` is gzip where the object is packed."""

    id: UUID
    kind: str
    name: str
    content_type: str
    size: int
    sha256: str | None
    storage_path: str
    store: str | None
    encoding: str | None
    created_at: datetime


class ExecutionRow(Row):
    id: UUID
    iteration: int
    agent: str
    model: str | None
    started_at: datetime | None
    finished_at: datetime | None
    result: str | None
    cost_usd: float
    input_tokens: int
    output_tokens: int
    created_at: datetime


class RunSummary(RunRow):
    summary_json: dict[str, Any] | None


class SprintOfRun(SprintLine):
    dod_json: dict[str, Any]


class SpecOfRun(Row):
    id: UUID
    repo: str
    branch: str | None
    title: str
    name: str
    created_by: str
    created_at: datetime


class RunPage(Row):
    """A run with all that hangs on it: the newest 200 artifacts and executions, the first events."""

    run: RunSummary
    sprint: SprintOfRun
    spec: SpecOfRun
    artifacts: tuple[ArtifactRow, ...]
    executions: tuple[ExecutionRow, ...]
    events: tuple[EventRow, ...]


Kind = TypeVar("Kind")
PROJECTS = TypeAdapter(tuple[ProjectRow, ...])
SPECS = TypeAdapter(tuple[SpecRow, ...])
RUNS = TypeAdapter(tuple[RunRow, ...])
EVENTS = TypeAdapter(tuple[EventRow, ...])
RUN_PAGE = TypeAdapter(RunPage)


class MemberStore(Caller):
    """What a person with an account looks at. Made with a client that presents his token."""

    def list_projects(self, after: ProjectRow | None = None, limit: int = 50) -> tuple[ProjectRow, ...]:
        """By name of the repository; at most 200 a page."""
        rows = self._call("list_projects_v1", list, after_repo=after.repo if after else None, limit=limit)
        return read_rows(PROJECTS, rows)

    def list_specs(self, project_id: UUID, before: SpecRow | None = None, limit: int = 50) -> tuple[SpecRow, ...]:
        """Newest first; at most 200 a page."""
        key = key_of("before", before)
        return read_rows(SPECS, self._call("list_specs_v1", list, project_id=str(project_id), limit=limit, **key))

    def list_runs(
        self, spec_id: UUID, sprint_id: UUID | None = None, before: RunRow | None = None, limit: int = 50
    ) -> tuple[RunRow, ...]:
        """A specification's, or one of its sprints'; newest first; at most 200 a page."""
        given = {"spec_id": str(spec_id), "sprint_id": str(sprint_id) if sprint_id else None, "limit": limit}
        return read_rows(RUNS, self._call("list_runs_v1", list, **given, **key_of("before", before)))

    def list_events(self, project_id: UUID, after: EventRow | None = None, limit: int = 200) -> tuple[EventRow, ...]:
        """A project's, oldest first; at most 1000 a page.

        An event is seen from its commit on, so one that comes to light later may lie before `after`: docs/live.md says
        how a listener misses none.
        """
        key = key_of("after", after)
        return read_rows(EVENTS, self._call("list_events_v1", list, project_id=str(project_id), limit=limit, **key))

    def list_run_events(self, run_id: UUID, after: EventRow | None = None, limit: int = 200) -> tuple[EventRow, ...]:
        """As `list_events`, for one run."""
        key = key_of("after", after)
        return read_rows(EVENTS, self._call("list_run_events_v1", list, run_id=str(run_id), limit=limit, **key))

    def show_run(self, run_id: UUID, event_limit: int = 200) -> RunPage:
        """Raises NotFound."""
        found = self._look_up("show_run_v1", run_id=str(run_id), event_limit=event_limit)
        if found is None:
            raise NotFound(
                "There is no such run for this token.",
                fix="Check the run's id, and that you are a member of its project.",
                code="run-not-found",
            )
        return read_rows(RUN_PAGE, found)


def key_of(side: str, row: SpecRow | RunRow | EventRow | None) -> dict[str, str | None]:
    """A page's key as the verbs take it: `before_created_at` and `before_id`, or the same with `after`."""
    return {
        f"{side}_created_at": row.created_at.isoformat() if row else None,
        f"{side}_id": str(row.id) if row else None,
    }


def read_rows(kind: TypeAdapter[Kind], given: Any) -> Kind:
    """Raises BrokenPromise when the database answers in another form than this version reads."""
    try:
        return kind.validate_python(given)
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"])
        raise BrokenPromise(
            f"The database's answer is not of the form that this version reads (at {place or 'the top'}).",
            fix="Check that the migrations applied are those of this version.",
            code="answer-not-understood",
        ) from error
