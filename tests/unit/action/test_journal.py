"""What a run tells of itself: each execution once, and none in place of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from action.console import Console
from action.journal import Journal
from action.runfolder import RunFolder
from action.settings import GitHubContext

RUN_ID = "11111111-2222-4333-8444-555555555555"


class Records:
    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}

    def record_event(self, run_id: str, phase: str, message: str, metadata: dict[str, Any]) -> None: ...

    def record_execution(self, run_id: str, execution: dict[str, Any]) -> None:
        self.executions[execution["id"]] = execution


def test_ci_run_that_is_begun_again_leaves_what_its_attempt_before_did(tmp_path: Path) -> None:
    records = Records()
    for ci_attempt in (1, 1, 2):
        journal = Journal(RunFolder(tmp_path), Console(GitHubContext()), RUN_ID, records, ci_attempt)
        journal.execution(1, {"result": f"attempt {ci_attempt}"})
    assert [one["result"] for one in records.executions.values()] == ["attempt 1", "attempt 2"]
