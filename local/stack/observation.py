"""What the database says has become of one mail; the operator's view, over DB_URL."""

from __future__ import annotations

from typing import Any, Literal, Self

from controlplane.noun import Noun
from controlplane.states import MessageState, Result, SprintState


class SeenRun(Noun):
    run_id: str
    ci_run_id: str | None = None
    result: Result | None = None
    branch: str | None = None
    commit: str | None = None
    pull_request_url: str | None = None
    summary: dict[str, Any] | None = None


class SeenSprint(Noun):
    label: str
    state: SprintState
    runs: tuple[SeenRun, ...] = ()


class SeenSpec(Noun):
    spec_id: str
    repo: str
    sprints: tuple[SeenSprint, ...] = ()

    def is_settled(self) -> bool:
        """No sprint is being worked on, and none will be without somebody's doing."""
        waiting = (SprintState.NEEDS_INPUT, SprintState.NEEDS_APPROVAL, SprintState.PAUSED)
        for sprint in self.sprints:
            if sprint.state == SprintState.RUNNING or any(run.result is None for run in sprint.runs):
                return False
            if sprint.state in (SprintState.FAILED, SprintState.CANCELLED, *waiting):
                return True
        return all(sprint.state == SprintState.DONE for sprint in self.sprints)


class SeenEvent(Noun):
    id: str
    phase: str
    message: str


class Observation(Noun):
    """`first_seen` is False where the mail repeats one that was accepted before; `specs` are then that one's.

    `notices` are the ids of the answers that were called for, sent or not.
    """

    state: MessageState
    reason: str
    specs: tuple[SeenSpec, ...] = ()
    events: tuple[SeenEvent, ...] = ()
    pending: int = 0
    notices: tuple[str, ...] = ()
    first_seen: bool = True

    def is_settled(self) -> bool:
        """Nothing more will happen by itself: every run has ended and every effect has been carried out."""
        return self.pending == 0 and all(spec.is_settled() for spec in self.specs)


class Observer:
    """One connection; use as a context manager."""

    def __init__(self, db_url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(db_url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self._connection.close()
        return False

    def observe_mail(self, gmail_id: str) -> Observation | None:
        """None while the front door has not recorded the mail."""
        row = self._connection.execute("select public.observe_mail_v1(%s)", (gmail_id,)).fetchone()
        return Observation.model_validate(row[0]) if row and row[0] else None
