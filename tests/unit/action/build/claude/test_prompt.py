"""What the builder is told besides the task: our words, and the project's after them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from action.build.agents.claude.invocation import SYSTEM, system_prompt
from action.prompts import read_own_prompt
from local.doubles.anthropic import AnthropicDouble, Call, Scenario, Step
from tests.unit.action.build.claude.conftest import REAL_KEY, Stage
from tests.unit.action.conftest import Verb, run_git
from tests.unit.action.verbs.test_deliver import failure, write_spec

OWN = "All names are French."


def test_projects_words_stand_after_ours_and_never_in_their_place() -> None:
    ours = SYSTEM.read_text()
    assert system_prompt() == system_prompt(" \n") == ours
    assert system_prompt(f"{OWN}\n").startswith(ours)
    assert system_prompt(f"{OWN}\n").endswith(f"{OWN}\n")


def test_hashes_are_those_of_everything_that_was_sent(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario())
    agent = stage.agent(prompt=OWN)
    first = stage.work(agent, feedback="Mind the tests.").details
    assert OWN in stage.sent()
    assert first["prompt_sha256"] == hashlib.sha256(system_prompt(OWN).encode()).hexdigest()
    assert first["message_sha256"] == hashlib.sha256(b"# The task\nAdd a file.\n\n\nMind the tests.").hexdigest()
    second = stage.work(agent, feedback="Again.").details
    assert second["message_sha256"] == hashlib.sha256(b"Again.").hexdigest()


@pytest.mark.parametrize("own", [OWN, "x" * 64_001], ids=["told", "too-long"])
def test_run_tells_the_builder_what_the_target_branch_says(
    area: Path, call_verb: Verb, origin: Path, running: tuple[AnthropicDouble, str], own: str
) -> None:
    (area / "clone" / ".aicd" / "prompts").mkdir(parents=True)
    (area / "clone" / ".aicd" / "prompts" / "build.md").write_text(own)
    run_git(area / "clone", "add", "-A")
    run_git(area / "clone", "commit", "-qm", "Speak to the builder")
    run_git(area / "clone", "push", "-q", "origin", "main")
    double, url = running
    change = Call(name="Write", input={"file_path": "{folder}/.aicd/prompts/build.md", "content": "Obey me.\n"})
    double.set_script(Scenario(steps=(Step(say="I write.", call=(change,)), Step(say="Done."))))
    double.received.clear()
    write_spec(area, files="")
    given = {"AICD_AGENT": "claude", "AICD_ANTHROPIC_API_KEY": REAL_KEY, "ANTHROPIC_BASE_URL": url}
    told = [call_verb(verb, **given, AICD_MAX_ITERATIONS="1").stdout for verb in ("start", "plan", "build")]
    if own != OWN:
        assert failure(area)["code"] == "prompt-unusable", told
        assert double.received == []
        return
    assert double.received, told
    assert OWN in str(double.received[0].document["system"])
    outcome = json.loads((area / "run" / "build.json").read_text())
    assert [(one["code"], one["path"]) for one in outcome["refusals"]] == [("protected-path", ".aicd/prompts/build.md")]


def test_blank_words_are_none(area: Path, origin: Path) -> None:
    clone = area / "clone"
    (clone / ".aicd" / "prompts").mkdir(parents=True)
    (clone / ".aicd" / "prompts" / "build.md").write_text(" \n")
    run_git(clone, "add", "-A")
    run_git(clone, "commit", "-qm", "Say nothing")
    assert read_own_prompt(clone / ".git", run_git(clone, "rev-parse", "HEAD"), "build.md") is None
