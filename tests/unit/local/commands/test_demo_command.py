"""What is left of a demo when it has ended, and what `make demo` shows before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.commands.demo import _show
from local.demo import DemoResult
from local.stack.journey import Journey
from local.stack.observation import Observation, SeenRun

ROOT = Path(__file__).parents[4]


def test_end_of_the_demo_says_that_its_addresses_are_gone_and_where_the_files_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"spec_id": "1", "repo": "o/r", "sprints": []}
    seen = Observation.model_validate({"state": "ACCEPTED", "reason": "ok", "specs": [spec]})
    result = DemoResult(
        journey=Journey(seen),
        run=SeenRun(run_id="1"),
        folder=tmp_path,
        repository=tmp_path / "repository.git",
        report_mail=tmp_path / "1.eml",
        report_page=tmp_path / "1.html",
        evidence=tmp_path / "evidence",
        runner="verbs",
        duration_seconds=1.0,
    )
    _show(result.as_json(), result)
    last = capsys.readouterr().out.splitlines()[-1]
    assert "127.0.0.1" in last
    assert "answer no more" in last
    assert str(tmp_path) in last


def test_what_make_demo_needs_is_made_without_showing_recipes() -> None:
    target, shown = "", []
    for line in (ROOT / "Makefile").read_text().splitlines():
        if not line.startswith("\t"):
            target = line.partition(":")[0]
        elif target.startswith((".venv/", "demo")) and not line.startswith("\t@"):
            shown.append(line)
    assert shown == []
