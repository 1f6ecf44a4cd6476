"""Saying the verdict at GitHub beside the pull request: the check run and the one comment. Both are extras: what cannot
be done is noted, and the run goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from action.gate.render import verdict_markdown
from action.publish.annotations import Annotation
from action.publish.checkrun import MAX_SUMMARY, Check, write_check
from action.publish.comment import keep_comment, write_comment
from action.publish.github_refusals import try_extra
from controlplane.report import Report
from controlplane.states import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from github.Repository import Repository


def announce(
    repository: Repository,
    report: Report,
    annotations: Sequence[Annotation],
    number: int | None,
    redact: Callable[[str], str],
) -> tuple[str, ...]:
    """What could not be done, one sentence each. `number` is the pull request's; without one there is no comment."""
    check = _check(report, redact)
    clean = [one.model_copy(update={"title": redact(one.title), "message": redact(one.message)}) for one in annotations]
    notes = [try_extra("check run", "checks: write", lambda: write_check(repository, check, clean))]
    if number is not None:
        known = tuple(note for note in (*report.notes, *notes) if note)
        body = redact(write_comment(report, known))
        notes.append(try_extra("comment", "pull-requests: write", lambda: keep_comment(repository, number, body)))
    return tuple(note for note in notes if note)


def _check(report: Report, redact: Callable[[str], str]) -> Check:
    verdict = report.verdict
    failing = len(verdict.failing()) if verdict else 0
    passed = report.result is Result.PASSED
    title = "The Definition of Done is met" if passed else f"{failing} criteria did not pass"
    if report.failing is not None:
        title = f"The run failed in {report.failing.phase}"
    summary = verdict_markdown(verdict, MAX_SUMMARY // 2) if verdict else "There is no verdict."
    return Check(
        commit=report.commit,
        run_id=report.run_id,
        result=report.result,
        title=title,
        summary=redact(summary),
        details_url=report.ci_url,
    )
