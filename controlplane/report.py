"""The report: everything a run has to say, for the page, the mail, the pull request and the machine."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, computed_field

from controlplane.evidence import TestCase
from controlplane.noun import Noun
from controlplane.plan import Sprint
from controlplane.states import Result
from controlplane.verdict import Verdict


class Failing(Noun):
    """Why a run could not go its whole way: not a verdict, but something that stood in the way of one."""

    phase: str
    code: str
    message: str
    fix: str = ""


class ChangedFile(Noun):
    """Lines added and removed; both None for a binary file."""

    path: str
    added: int | None
    removed: int | None


class CoveredFile(Noun):
    """One source file's lines; `missing` are line numbers."""

    path: str
    covered: int
    total: int
    missing: tuple[int, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ratio(self) -> float | None:
        return round(self.covered / self.total, 6) if self.total else None


class Attempted(Noun):
    """One attempt of the agent. `verdict` is empty when only the final judgement looked at it."""

    number: int
    ending: str
    verdict: str = ""
    failing: tuple[str, ...] = ()
    reason: str = ""
    duration_seconds: float = 0.0
    cost_usd: float | None = None


class Spot(Noun):
    """A line of the change that somebody should look at. `line` is 0 where the whole file is meant; `in_diff` says
    whether the change shows that line."""

    level: Literal["error", "warning"]
    rule: str
    title: str
    message: str
    path: str
    line: int = 0
    end_line: int = 0
    in_diff: bool = False


class Earlier(Noun):
    """The figures of an earlier run that passed here: the one that made our base, else the last one for the same
    branch. What it did not measure is None."""

    commit: str = ""
    finished_at: str = ""
    is_base: bool = False
    tests: int | None = None
    passed: int | None = None
    e2e_passed: int | None = None
    coverage: float | None = None
    lighthouse_score: float | None = None
    duration_seconds: float | None = None


class ArtifactNote(Noun):
    """A file beside the report, size in bytes. The summary cannot know its own size, hash, or the id made of it."""

    id: str | None = None
    kind: str
    name: str
    content_type: str
    size: int | None = None
    sha256: str | None = None


class Report(Noun):
    """`result` is PASSED only when the verdict is and nothing stood in the way of delivering it.

    `changed_covered` of `changed_total` changed lines are covered; None where no change was measured. `web_url` is the
    repository's page where the commit can be seen, and empty where it cannot.
    """

    title: str
    repository: str
    branch: str
    base: str
    target: str = ""
    commit: str = ""
    run_id: str
    spec_id: str
    spec_sha256: str = ""
    sprint: Sprint
    verdict: Verdict | None = None
    failing: Failing | None = None
    cases: tuple[TestCase, ...] = ()
    covered: tuple[CoveredFile, ...] = ()
    files: tuple[ChangedFile, ...] = ()
    attempts: tuple[Attempted, ...] = ()
    agent: str = ""
    ended: str = ""
    isolation: tuple[str, ...] = ()
    cost_usd: float | None = None
    started_at: str = ""
    duration_seconds: float = 0.0
    ci_url: str = ""
    pull_request_url: str = ""
    notes: tuple[str, ...] = ()
    artifacts: tuple[ArtifactNote, ...] = ()
    spots: tuple[Spot, ...] = ()
    changed_covered: int | None = None
    changed_total: int | None = None
    earlier: Earlier | None = None
    web_url: str = ""
    measures: Measures = Field(default_factory=lambda: Measures())

    @property
    def result(self) -> Result:
        passed = self.verdict is not None and self.verdict.result is Result.PASSED and self.failing is None
        return Result.PASSED if passed else Result.FAILED


class Measures(Noun):
    """Figures that summary.json names by kind of test. None where nothing was measured: never a made-up zero."""

    python_passed: int | None = None
    python_failed: int | None = None
    e2e_passed: int | None = None
    e2e_failed: int | None = None
    coverage: float | None = None
    lighthouse_score: float | None = None


def summarise(report: Report) -> dict[str, Any]:
    """`summary.json`: the mission's shape first, then what a reader of many runs asks for."""
    measures = report.measures
    return {
        "status": report.result.value,
        "tests": {
            "python": {
                "passed": measures.python_passed,
                "failed": measures.python_failed,
                "coverage": measures.coverage,
            },
            "e2e": {"passed": measures.e2e_passed, "failed": measures.e2e_failed},
        },
        "lighthouse": {"score": measures.lighthouse_score},
        "artifacts": [note.model_dump(mode="json") for note in report.artifacts],
        "duration_seconds": report.duration_seconds,
        "verdict": report.verdict.as_json() if report.verdict else None,
        "failure": report.failing.model_dump(mode="json") if report.failing else None,
        "cost_usd": report.cost_usd,
        "iterations": len(report.attempts),
        "commit": report.commit or None,
        "branch": report.branch or None,
        "base": report.base,
        "repository": report.repository,
        "pull_request_url": report.pull_request_url or None,
        "spec_sha256": report.spec_sha256,
        "spec_id": report.spec_id,
        "run_id": report.run_id,
        "sprint": report.sprint.label,
        "isolation": list(report.isolation),
        "earlier": report.earlier.model_dump(mode="json") if report.earlier else None,
    }


Report.model_rebuild()
