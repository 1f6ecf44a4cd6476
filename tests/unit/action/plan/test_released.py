"""A runner that was given back: what is left of the run does nothing, and the next run is not held up by it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from action.console import Console
from action.context import Context
from action.released import Released, is_released, release
from action.runfolder import RunFolder
from action.settings import GitHubContext, Settings


def context(folder: Path, verb: str, said: io.StringIO | None = None) -> Context:
    github = GitHubContext(output=folder / "output", step_summary=folder / "summary")
    return Context(
        verb, Settings(run_directory=folder), RunFolder(folder), Console(github, ("s3cret-0123456789",), said)
    )


@pytest.mark.parametrize("verb", ["plan", "build", "verify", "handover", "gate", "publish", "finish"])
def test_verbs_after_a_release_have_nothing_to_do(tmp_path: Path, verb: str) -> None:
    assert not is_released(context(tmp_path, verb))
    release(context(tmp_path, "plan"), Released(status="NEEDS_INPUT", reason="2 questions went out."))
    assert is_released(context(tmp_path, verb))


@pytest.mark.parametrize("verb", ["start", "receive", "deliver"])
def test_next_run_in_the_same_folder_is_not_held_up(tmp_path: Path, verb: str) -> None:
    release(context(tmp_path, "plan"), Released(status="NEEDS_APPROVAL", reason="Wait."))
    assert not is_released(context(tmp_path, verb))
    RunFolder(tmp_path).forget()
    assert not is_released(context(tmp_path, "build"))


def test_release_tells_the_workflow_and_the_reader_when_it_goes_on_and_no_secret(tmp_path: Path) -> None:
    said = io.StringIO()
    paused = Released(status="PAUSED", reason="Limit s3cret-0123456789.", resume_at="2026-11-22T00:00:00+00:00")
    release(context(tmp_path, "build", said), paused)
    assert "proceed" in (tmp_path / "output").read_text()
    told = said.getvalue() + (tmp_path / "summary").read_text()
    assert told.count("2026-11-22T00:00:00+00:00") == 2
    assert "s3cret-0123456789" not in told
