"""A specification handed in, from its bytes to its rows: checked, stored, taken in.

Whether the caller may is asked before anything is stored; the object comes before the row, so that a row never names an
object that is not there. With an id made of an idempotency key or of an upload, doing it all again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from controlplane import ids
from controlplane.errors import AicdError, Conflict
from controlplane.spec import Problem, Spec, SpecCheck
from functions._shared.api.body import Handed, check_handed
from functions._shared.api.callers import ApiCaller
from functions._shared.api.ports import SubmissionStore
from functions._shared.api.refusals import TooManyRequests, invalid_spec
from functions._shared.endpoint import CallerNotAllowed
from functions._shared.intake.decide import clean, needs_planner
from functions._shared.intake.records import CONTENT_TYPES

log = structlog.get_logger(__name__)

ALLOWED = ("ready", "accepted", "duplicate")
# What decides whether it may be stored.
ASKED_FIRST = ("id", "repo", "branch", "sha", "content_key", "rfc_message_id", "again")
SECONDS_UNTIL_ANOTHER = 3_600


@dataclass(frozen=True)
class Submitted:
    """What became of it: the specification's row, and whether it was there before by another submission."""

    row: Mapping[str, Any]
    duplicate: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Intake:
    """`plans_letters` says whether a letter in plain words may wait for the runner's planner."""

    store: SubmissionStore
    plans_letters: bool = True
    door: str = "api"

    def submit(self, handed: Handed, spec_id: str, caller: ApiCaller, correlation_id: str) -> Submitted:
        """Take in what the caller sent with his request. Raises Invalid, CallerNotAllowed, TooManyRequests."""
        return self._submit(handed, spec_id, caller, correlation_id, is_stored=False)

    def submit_stored(self, handed: Handed, spec_id: str, caller: ApiCaller, correlation_id: str) -> Submitted:
        """Take in what the caller has stored himself, under this id."""
        return self._submit(handed, spec_id, caller, correlation_id, is_stored=True)

    def _submit(
        self, handed: Handed, spec_id: str, caller: ApiCaller, correlation_id: str, *, is_stored: bool
    ) -> Submitted:
        check = self.check(handed)
        row = spec_row(handed, check, spec_id) | {"correlation_id": correlation_id, "door": self.door}
        told = self.store.check_submission(caller.as_json(), {name: row[name] for name in ASKED_FIRST})
        refuse_unless_allowed(told)
        if told["outcome"] == "ready":
            self._refuse_unplanned(check, handed, told)
            if not is_stored:
                self.store.put_spec(spec_id, handed.content, CONTENT_TYPES[check.format])
            told = self.store.submit_spec(caller.as_json(), row)
            refuse_unless_allowed(told)
        elif is_stored and told["outcome"] == "duplicate":
            # Says in the upload's row what became of it, and gives its object up.
            told = self.store.submit_spec(caller.as_json(), row)
        log.info("specification handed in", outcome=told["outcome"], caller=caller.name, size=len(handed.content))
        return Submitted(told["spec"], told["outcome"] == "duplicate", check.notes)

    def check(self, handed: Handed) -> SpecCheck:
        """Raises Invalid, with each problem's place."""
        check = check_handed(handed)
        problems = check.problems or tuple(self._why_not(check.spec))
        if problems:
            raise invalid_spec(problems, check.notes, positions=handed.has_positions)
        return check

    def _why_not(self, spec: Spec | None) -> list[Problem]:
        if spec is None:
            return [Problem(path="", message="This is not a specification that can be read.")]
        if not spec.repo:
            said = "It does not say which repository it is for. Add a line of its own: 'repository: OWNER/NAME'."
            return [Problem(path="repository", message=said)]
        return []

    def _refuse_unplanned(self, check: SpecCheck, handed: Handed, told: Mapping[str, Any]) -> None:
        """The project's own word counts; where it says nothing, the setting's. Raises Invalid."""
        plans = self.plans_letters if told["planner"] is None else told["planner"]
        if check.spec is not None and needs_planner(check.spec) and not plans:
            said = (
                "It says what is wanted, but brings no sprint with a Definition of Done, and letters are not planned "
                "here. Add 'planning' with a sprint, or have planning switched on (docs/planning.md)."
            )
            raise invalid_spec([Problem(path="planning", message=said)], positions=handed.has_positions)


def spec_row(handed: Handed, check: SpecCheck, spec_id: str) -> dict[str, Any]:
    """p_spec of submit_spec_v1. The check must be valid."""
    spec = check.spec
    if spec is None:
        raise ValueError("only a valid specification has a row")
    return {
        "id": spec_id,
        "name": clean(handed.name, 200),
        "repo": spec.repo,
        "branch": spec.branch,
        "title": clean(spec.title or spec.project, 300),
        "format": spec.format,
        "storage_path": f"{spec_id}/source",
        "sha": spec.sha256,
        "content_key": ids.content_key(spec),
        "size": len(handed.content),
        "plan": spec.plan.model_dump(mode="json") if spec.plan else None,
        "needs_approval": spec.policies.approval == "required",
        "rfc_message_id": handed.message_id,
        "again": handed.again,
    }


def refuse_unless_allowed(told: Mapping[str, Any]) -> None:
    """Raise what the database said no with."""
    outcome, reason = str(told["outcome"]), str(told["reason"])
    if outcome in ALLOWED:
        return
    raise refusal_of(outcome, reason)


def refusal_of(outcome: str, reason: str) -> AicdError:
    """The error for a refusal's code."""
    if outcome == "daily-limit":
        return TooManyRequests(
            reason,
            fix="Wait, or have a maintainer raise daily_specs in the project's policy.",
            code=outcome,
            details={"retry_after_seconds": SECONDS_UNTIL_ANOTHER},
        )
    if outcome in ("repository-not-allowed", "branch-not-allowed"):
        fix = "Check repo and branch in the specification, and what your key or your role in the project is for."
        return CallerNotAllowed(reason, fix=fix, code=outcome)
    return Conflict(reason, code=outcome)
