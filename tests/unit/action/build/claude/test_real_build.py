"""The real Claude Code from its first word to its last: tools, our MCP server, what is refused, going on elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from action.build.agents.claude.session import Session
from action.toolserver.tools import TOOLS
from local.doubles.anthropic import Call, Scenario, Step
from tests.unit.action.build.claude.conftest import REAL_KEY, Stage

PLAN = Call(name="mcp__aicd-controlplane__get_plan")
WRITE = Call(name="Write", input={"file_path": "{folder}/new.txt", "content": "made\n"})


def test_build_with_tools_and_our_server_is_done_and_every_call_is_counted_once(
    make_stage: Callable[..., Stage],
) -> None:
    outside = Call(name="Write", input={"file_path": "/etc/evil", "content": "x"})
    steps = (
        Step(say="I look.", call=(PLAN, Call(name="Bash", input={"command": "id -u; env"}))),
        Step(call=(WRITE, Call(name="WebFetch", input={"url": "http://x"}), outside)),
        Step(say="Built."),
        Step(say="Mended."),
    )
    stage = make_stage(Scenario(steps=steps, keys=(REAL_KEY,)))
    agent = stage.agent(desk=stage.desk)
    first = stage.work(agent)
    assert (first.ending, first.details["outcome"], first.details["denied"]) == ("done", "denied", ["Write"])
    assert (stage.repository / "new.txt").read_text() == "made\n"
    assert first.details["mcp_servers"][0]["status"] == "connected"
    assert first.cost_usd == float(stage.ledger.spent("builder")) == 0.024
    assert first.details["files"] == ["new.txt", "/etc/evil"]
    log = stage.log.read_text()
    assert REAL_KEY not in log
    assert "ANTHROPIC_API_KEY=***" in log
    second = stage.work(agent, feedback="# coverage_min failed, word for word")
    assert (second.ending, second.session) == ("done", first.session)
    assert second.cost_usd == second.details["cost_usd_by_the_program"] == 0.008
    assert stage.ledger.spent() == Decimal("0.032")
    last = stage.double.received[-1].document["messages"]
    assert "word for word" in str(last[-2:])
    assert "I look." in str(last)
    assert {one.key for one in stage.double.received} == {REAL_KEY}
    assert any("Built." in sentence for sentence in stage.told)


def test_session_goes_on_with_another_worker_in_an_empty_home(make_stage: Callable[..., Stage]) -> None:
    steps = (
        Step(say="First part.", call=(WRITE,)),
        Step(say="I stop here."),
        Step(say="Second part.", call=(WRITE,)),
        Step(say="Done."),
    )
    stage = make_stage(Scenario(steps=steps))
    agent = stage.agent()
    first = stage.work(agent)
    kept = agent.session
    elsewhere = make_stage(name="two")
    moved = Session(kept.id, kept.folder, kept.transcript, kept.told_usd)
    second = elsewhere.work(elsewhere.agent(moved), feedback="Go on, please.")
    assert (second.ending, second.session) == ("done", first.session)
    said = str(stage.double.received[-1].document["messages"])
    assert "First part." in said
    assert f"The working directory is {elsewhere.repository} now" in said
    assert second.details["cost_usd_by_the_program"] == second.cost_usd == 0.016
    assert (elsewhere.repository / "new.txt").exists()


def test_agent_without_our_server_is_said_to_have_tested_nothing(
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine where the sandbox's user cannot come to the library `mcp`."""
    monkeypatch.setattr("action.build.agents.claude.agent.find_tool_python", lambda _interpreter: None)
    stage = make_stage(Scenario())
    attempt = stage.work(stage.agent(desk=stage.desk))
    assert attempt.ending == "done"
    assert [note for note in attempt.notes if "could not test itself" in note]
    assert attempt.details["mcp_servers"] == []


def test_calls_of_a_tool_are_bounded_for_the_run_and_not_for_each_attempt(
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOOLS, "get_plan", replace(TOOLS["get_plan"], most_calls=1))
    stage = make_stage(Scenario(steps=(Step(call=(PLAN,)), Step(say="Once."), Step(call=(PLAN,)), Step(say="Twice."))))
    agent = stage.agent(desk=stage.desk)
    stage.work(agent)
    assert "that is its limit" not in stage.log.read_text()
    stage.work(agent, feedback="Again.")
    assert "get_plan was called 1 times in this run; that is its limit." in stage.log.read_text()
