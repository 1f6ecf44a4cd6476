"""Measuring on the way: in the time that is left, and the same files once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from action.build.job import Judged
from action.build.measuring import WorkCheck
from action.build.remembering import WHOLE, Remembered
from action.gitrepo.clone import Wish, fetch_repository
from action.gitrepo.git import Remote, git
from action.gitrepo.trailers import Trailers
from action.gitrepo.workspace import prepare_workspace
from action.run import Run
from action.verify.sandbox import never
from controlplane.change import Change
from controlplane.evidence import Evidence
from controlplane.verdict import Criterion, Verdict


def judged_as(status: str) -> Judged:
    criterion = Criterion.model_validate(
        {"id": "x", "required": True, "actual": status == "passed", "status": status, "reason": "so"}
    )
    return Judged(Verdict(criteria=(criterion,)), Evidence())


PASSED, FAILED = judged_as("passed"), judged_as("failed")


@pytest.mark.parametrize(("left", "given"), [(5_000.0, 900.0), (60.0, 60.0), (-3.0, 1.0)])
def test_agents_own_check_takes_no_longer_than_its_attempt_may(
    area: Path, origin: Path, left: float, given: float
) -> None:
    repository = area / "repository"
    own = Trailers(run="r", spec="s", sprint="S1")
    point = fetch_repository(Remote(str(origin)), repository, Wish(branch="aicd/x", branch_is_named=False), own)
    prepare_workspace(repository, area / "workspace", point.base, point.branch)
    (area / "workspace" / "new.txt").write_text("x\n")
    run = Run(
        run_id="r", spec_id="s", sprint_label="S1", repository="acme/calc", remote_url="", branch="aicd/x",
        base=point.base, started_at="",
    )  # fmt: skip
    seconds: list[float] = []

    def judge(_change: Change, _name: str, granted: float, is_over: Callable[[], bool] = never) -> Judged:
        seconds.append(granted)
        return PASSED

    WorkCheck(run, repository, area / "workspace", 1000, judge, left=lambda: left)(900.0)
    assert seconds == [given]


@pytest.mark.parametrize(
    ("found", "took", "measured"),
    [(PASSED, 100.0, 1), (FAILED, 100.0 * WHOLE - 1, 1), (FAILED, 100.0 * WHOLE, 2)],
    ids=["passed", "failed-in-time", "perhaps-cut-short"],
)
def test_same_files_are_measured_once_unless_the_time_was_too_short_for_a_no(
    area: Path, found: Judged, took: float, measured: int
) -> None:
    git(None, "init", "--quiet", "--bare", str(area / "r.git"))
    change = Change(repository=area / "r.git", base="0" * 40, head="4b825dc642cb6eb9a060e54bf8d69288fbee4904")
    times, asked = iter([0.0, took, 1_000.0, 1_000.0 + took]), []

    def judge(_change: Change, name: str, _seconds: float, _is_over: Callable[[], bool]) -> Judged:
        asked.append(name)
        return found

    judged = Remembered(judge, lambda: next(times))
    for name in ("check-1", "1"):
        assert judged(change, name, 100.0) is found
    assert len(asked) == measured
