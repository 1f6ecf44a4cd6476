"""The check run `aicd` on the measured commit, with annotations on its lines.

Found by its name and our run's id before it is made, so that publishing again brings it up to date. Only a GitHub App
may make one, which the workflow's own token is: https://docs.github.com/en/rest/checks/runs
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from action.publish.annotations import Annotation
from controlplane.noun import Noun
from controlplane.states import Result

if TYPE_CHECKING:
    from github.CheckRun import CheckRun
    from github.Repository import Repository

NAME = "aicd"
PER_REQUEST = 50
MAX_SUMMARY = 60_000  # GitHub takes 65,535 characters
MAX_TITLE = 255
LEVELS = {"error": "failure", "warning": "warning"}


class Check(Noun):
    """`summary` is Markdown whose foreign texts are escaped already; `run_id` is our run."""

    commit: str
    run_id: str
    result: Result
    title: str
    summary: str
    details_url: str = ""


def write_check(repository: Repository, check: Check, annotations: Sequence[Annotation]) -> int:
    """The check run's id. Annotations go fifty at a time and are only ever added: those already there are skipped."""
    placed = [_shown(one) for one in annotations if one.path]
    there = _find(repository, check)
    done = int(there.output.annotations_count or 0) if there is not None and there.output else 0
    left = placed[done:]
    first, rest = left[:PER_REQUEST], left[PER_REQUEST:]
    if there is None:
        made = repository.create_check_run(
            name=NAME, head_sha=check.commit, external_id=check.run_id, output=_output(check, first), **_outcome(check)
        )
    else:
        made = there
        made.edit(output=_output(check, first), **_outcome(check))
    for start in range(0, len(rest), PER_REQUEST):
        made.edit(output=_output(check, rest[start : start + PER_REQUEST]))
    return int(made.id)


def _find(repository: Repository, check: Check) -> CheckRun | None:
    known = repository.get_commit(check.commit).get_check_runs(check_name=NAME)
    return next((one for one in known if one.external_id == check.run_id), None)


def _outcome(check: Check) -> dict[str, Any]:
    told: dict[str, Any] = {
        "status": "completed",
        "conclusion": "success" if check.result is Result.PASSED else "failure",
        "completed_at": datetime.datetime.now(datetime.UTC),
    }
    return told | ({"details_url": check.details_url} if check.details_url.startswith("https://") else {})


def _output(check: Check, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    output: dict[str, Any] = {"title": check.title[:MAX_TITLE], "summary": check.summary[:MAX_SUMMARY] or "-"}
    return output | ({"annotations": annotations} if annotations else {})


def _shown(one: Annotation) -> dict[str, Any]:
    return {
        "path": one.path,
        "start_line": one.line,
        "end_line": one.end_line,
        "annotation_level": LEVELS[one.level],
        "title": one.title,
        "message": one.message,
    }
