"""The story of a run: each execution once, none in place of another, and without secrets wherever it is told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from action.console import Console
from action.journal import Journal
from action.runfolder import RunFolder
from action.settings import GitHubContext
from controlplane.states import Phase

CANARY = "ghs_canary_a1b2c3d4"
RUN_ID = "3f2b1c4d-0000-4000-8000-000000000001"


class Records:
    """Keeps what the control plane would be told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.executions: dict[str, dict[str, Any]] = {}

    def record_event(self, *told: Any) -> None:
        self.told.append(told)

    def record_execution(self, run_id: str, execution: dict[str, Any]) -> None:
        self.told.append((run_id, execution))
        self.executions[execution["id"]] = execution


def test_ci_run_that_is_begun_again_leaves_what_its_attempt_before_did(tmp_path: Path) -> None:
    records = Records()
    for ci_attempt in (1, 1, 2):
        journal = Journal(RunFolder(tmp_path), Console(GitHubContext()), RUN_ID, records, ci_attempt)
        journal.execution(1, {"result": f"attempt {ci_attempt}"})
    assert [one["result"] for one in records.executions.values()] == ["attempt 1", "attempt 2"]


def test_secret_at_any_depth_is_told_to_nobody(tmp_path: Path) -> None:
    log, records = io.StringIO(), Records()
    journal = Journal(RunFolder(tmp_path), Console(GitHubContext(), (CANARY,), log), RUN_ID, records)
    deep = {"reason": f"because of {CANARY}", "alternatives": (f"no {CANARY}",), CANARY: [{"x": f"{CANARY}!"}]}
    journal.event(Phase.BUILD, f"Decision: {CANARY}", decision=deep, percent=7)
    journal.execution(1, {"agent": "x", "metadata": deep, "cost_usd": 0.5})
    kept = "".join(file.read_text() for file in tmp_path.glob("*.jsonl"))
    assert CANARY not in log.getvalue() + repr(records.told) + kept
    event, execution = (json.loads((tmp_path / name).read_text()) for name in ("events.jsonl", "executions.jsonl"))
    expected = {"reason": "because of ***", "alternatives": ["no ***"], "***": [{"x": "***!"}]}
    assert (event["metadata"], execution["metadata"]) == ({"decision": expected, "percent": 7}, expected)
    assert execution["cost_usd"] == 0.5
