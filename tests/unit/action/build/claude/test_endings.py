"""Every row of the table of endings: a scenario each against the real program, and the rows by themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from action.build.agents.claude.executable import find_claude
from action.build.agents.claude.key import ClaudeKey
from action.build.agents.claude.limits import LimitSeen, find_reset
from action.build.agents.claude.outcome import TABLE, Ended, judge_ending
from action.build.agents.claude.proxy import Facts
from action.build.agents.claude.readiness import PENDING_SECONDS, Readiness
from action.build.agents.claude.session import Session
from action.build.agents.claude.stream import Told
from action.build.mcpconfig import load_mcp_config
from action.toolserver.desk import Question
from action.verify.sandbox import Outcome
from controlplane.errors import OutsideError, UsageError
from local.doubles.anthropic import Call, Fault, Scenario, Step
from tests.unit.action.build.claude.conftest import REAL_KEY, Stage, wide
from tests.unreliable import Fault as Spoiled
from tests.unreliable import Unreliable

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
EPOCH = int((datetime.now(UTC) + timedelta(hours=3)).timestamp())


def ended(result: dict[str, Any] | None = None, **changes: Any) -> Ended:
    process = changes.pop("process", Outcome(exit_code=0, duration_seconds=1.0))
    facts = changes.pop("facts", Facts(calls=1, statuses=[200]))
    opening = changes.pop("opening", {"mcp_servers": []})
    told = Told(opening=opening, result=result if result is not None else {"result": "Done."})
    return Ended(told=told, process=process, facts=facts, now=NOW, **changes)


FAILED = {"is_error": True, "result": "API Error: x"}
# name of the row → what applies to it
CASES: dict[str, Ended] = {
    "cancelled": ended(stop="cancelled"),
    "money": ended({**FAILED, "terminal_reason": "budget_exhausted"}),
    "question": ended(waits_for_answer=True),
    "server-down": ended(
        opening={"mcp_servers": [{"name": "a", "status": "failed"}]}, required_servers=frozenset({"a"})
    ),
    "clock": ended({}, process=Outcome(exit_code=None, duration_seconds=9.0, timed_out=True, reason="too long")),
    "stopped": ended({}, process=Outcome(exit_code=None, duration_seconds=9.0, reason="it wrote too much")),
    "turns": ended(
        {"is_error": True, "subtype": "error_max_turns", "num_turns": 250}, facts=Facts(calls=1, statuses=[200, 404])
    ),
    "session-lost": ended(
        {}, process=Outcome(exit_code=1, duration_seconds=1.0, errors=b"No conversation found with session ID: x")
    ),
    "limit": ended({**FAILED, "api_error_status": 529}),
    "key": ended({**FAILED, "api_error_status": 401}),
    "credit": ended({**FAILED, "result": "Credit balance is too low", "api_error_status": 400}),
    "model": ended({**FAILED, "api_error_status": 404}),
    "server-error": ended({**FAILED, "api_error_status": 500}),
    "silent": ended({}, process=Outcome(exit_code=0, duration_seconds=1.0)),
    "not-logged-in": ended({**FAILED, "result": "Not logged in"}, facts=Facts()),
    "error": ended(FAILED),
    "broken": ended(facts=Facts(calls=1, statuses=[200], broken=True)),
    "empty": ended({"result": ""}),
    "denied": ended({"result": "Done.", "permission_denials": [{"tool_name": "Write"}]}),
    "done": ended(),
}


def test_every_row_has_its_case() -> None:
    assert [row.name for row in TABLE] == list(CASES)


@pytest.mark.parametrize("name", list(CASES))
def test_case_is_judged_by_its_row(name: str) -> None:
    row = next(row for row in TABLE if row.name == name)
    judged = judge_ending(CASES[name])
    assert (judged.name, judged.ending, judged.error) == (name, row.ending, row.error)
    assert judged.reason or name == "done"
    assert (judged.resume_at is not None) == (name == "limit")


def test_server_that_failed_is_not_waited_for_and_a_pending_one_for_some_seconds() -> None:
    now = [100.0]
    readiness = Readiness(frozenset({"a", "b"}), lambda: now[0])
    told = Told()

    def say(**states: str) -> str:
        told.opening = {"mcp_servers": [{"name": name, "status": state} for name, state in states.items()]}
        return readiness.stop_for(told)

    assert readiness.stop_for(told) == ""
    assert say(a="connected", b="connected", c="failed") == ""
    assert say(a="pending", b="connected") == ""
    assert "down: a" in say(a="failed", b="pending")
    assert "down: b" in say(a="connected")
    now[0] += PENDING_SECONDS - 1
    assert say(a="pending", b="connected") == ""
    now[0] += 2
    assert "down: a" in say(a="pending", b="connected")
    told.tools["mcp__a__look_up"] += 1
    assert say(a="pending", b="connected") == ""
    assert "down: a" in say(a="failed", b="connected")


def test_subtype_and_exit_code_alone_never_make_a_success() -> None:
    refused = ended({"subtype": "success", "is_error": True, "api_error_status": 401, "result": "API Error"})
    assert judge_ending(refused).ending == "failed"


WELL_ENDED = {
    "speaks-of-a-limit": {"result": "Users who hit your rate limit now get a 429. You've hit your limit on retries."},
    "speaks-of-a-status": {"result": "API Error: 404 is what the handler answers now.", "api_error_status": 404},
    "speaks-of-a-session": {"is_error": False, "result": "The chat says `No conversation found` where there is none."},
    "speaks-of-credit": {"result": "Credit balance is too low: the message is shown.", "api_error_status": 400},
}


@pytest.mark.parametrize("name", list(WELL_ENDED))
def test_words_of_an_agent_that_ended_well_are_only_words(name: str) -> None:
    """It is paid for: what it says of limits, keys and statuses is about its work."""
    seen = Facts(calls=1, statuses=[200, 429], limit=LimitSeen(429, NOW, is_told=True), unreachable=True)
    judged = judge_ending(ended(WELL_ENDED[name], facts=seen))
    assert (judged.name, judged.ending) == ("done", "done")


def test_limit_in_the_programs_words_needs_no_status() -> None:
    said = {"is_error": True, "result": "You've hit your 5-hour limit · resets 3pm (UTC)"}
    assert judge_ending(ended(said, facts=Facts())).name == "limit"


def test_limit_that_the_proxy_saw_is_believed_before_the_programs_words() -> None:
    at = NOW + timedelta(hours=2)
    seen = Facts(calls=1, statuses=[429], limit=LimitSeen(429, at, is_told=True))
    judged = judge_ending(ended({**FAILED, "api_error_status": 429}, facts=seen))
    assert judged.resume_at == at


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("You've hit your 5-hour limit · resets 3pm (UTC)", NOW.replace(hour=15)),
        ("You've hit your limit · resets 3:30am (UTC)", NOW.replace(day=22, hour=3, minute=30)),
        ("You've hit your 5-hour limit · resets Jan 1, 2030, 12am (UTC)", datetime(2030, 1, 1, tzinfo=UTC)),
        ("You've hit your weekly limit · resets Nov 23, 4pm (UTC)", NOW.replace(day=23, hour=16)),
        ("resets some day", None),
        ("resets Foo 99, 4pm (UTC)", None),
    ],
)
def test_time_in_the_programs_own_words_is_read(said: str, at: datetime | None) -> None:
    assert find_reset(said, NOW) == at


# --- the real program

LIMITS = {
    "limit-of-a-key": (Fault(kind="limit-text", resets_at=EPOCH), EPOCH),
    "limit-of-a-subscription": (Fault(kind="limit-header", resets_at=EPOCH), EPOCH),
    "429-for-long": (Fault(status=429, retry_after=7200), int(time.time()) + 7200),
    "529": (Fault(status=529), None),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "limit-of-a-key" else wide) for name in LIMITS]
)
def test_limit_sets_the_work_aside_until_the_time_that_the_api_named(
    make_stage: Callable[..., Stage], name: str
) -> None:
    fault, at = LIMITS[name]
    write = Call(name="Write", input={"file_path": "{folder}/half.txt", "content": "half\n"})
    stage = make_stage(Scenario(steps=(Step(say="Half.", call=(write,)), Step(say="x", fault=fault))))
    kind = ClaudeKey("oauth" if "subscription" in name else "api-key", SecretStr(REAL_KEY))
    began = time.monotonic()
    agent = stage.agent(key=kind)
    attempt = stage.work(agent)
    assert (attempt.ending, attempt.details["outcome"]) == ("paused", "limit"), attempt
    resume_at = datetime.fromisoformat(attempt.resume_at)
    assert attempt.resume_is_told is (at is not None)
    if at is None:
        assert resume_at > datetime.now(UTC)
    else:
        assert abs(resume_at.timestamp() - at) < 90
    assert time.monotonic() - began < 60
    assert (stage.repository / "half.txt").exists()
    assert agent.session.transcript
    assert b"Half." in agent.session.transcript
    assert {one.style for one in stage.double.received} == {"bearer" if "subscription" in name else "x-api-key"}


@wide
def test_short_429_is_waited_for_inside_the_run(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario(steps=(Step(say="There.", fault=Fault(status=429, retry_after=1, times=2)),)))
    attempt = stage.work(stage.agent())
    assert (attempt.ending, attempt.details["retries"]) == ("done", 2)


@wide
@pytest.mark.parametrize(
    ("fault", "row", "error"),
    [
        (Fault(status=401), "key", "anthropic-key-refused"),
        (Fault(status=403), "key", "anthropic-key-refused"),
        (Fault(status=400, message="Your credit balance is too low"), "credit", "anthropic-credit"),
        (Fault(status=404, message="model: nothing"), "model", "model-unknown"),
        (Fault(status=500), "server-error", "claude-unavailable"),
    ],
    ids=["401", "403", "credit", "404", "500"],
)  # fmt: skip
def test_refusal_of_the_api_is_named(make_stage: Callable[..., Stage], fault: Fault, row: str, error: str) -> None:
    stage = make_stage(Scenario(steps=(Step(say="x", fault=fault),)))
    began = time.monotonic()
    attempt = stage.work(stage.agent())
    assert (attempt.details["outcome"], attempt.error) == (row, error), attempt
    assert time.monotonic() - began < 40


@wide
def test_stream_that_is_cut_once_is_taken_up_again_and_what_came_is_paid(make_stage: Callable[..., Stage]) -> None:
    cut = Step(say="word " * 900, fault=Fault(kind="cut", times=1))
    stage = make_stage(Scenario(steps=(cut,)))
    attempt = stage.work(stage.agent())
    assert attempt.ending == "done", attempt
    assert len(stage.ledger.entries()) == 2


@wide
def test_stream_that_is_always_cut_is_asked_for_as_a_document(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario(steps=(Step(say="word " * 900, fault=Fault(kind="cut")),)))
    attempt = stage.work(stage.agent())
    assert attempt.ending == "done", attempt
    assert not stage.double.received[-1].document.get("stream")
    assert len(stage.ledger.entries()) == len(stage.double.received)


@wide
def test_answer_that_is_none_fails_the_attempt(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario(steps=(Step(say="word", fault=Fault(kind="garbage")),)))
    attempt = stage.work(stage.agent(), seconds=60)
    assert attempt.ending == "failed", attempt
    assert attempt.reason


@pytest.mark.parametrize("kind", ["503", pytest.param("reset", marks=wide)])
def test_gateway_that_loses_every_call_ends_the_attempt_before_the_budget(
    make_stage: Callable[..., Stage], kind: str
) -> None:
    stage = make_stage(Scenario())
    between = Unreliable(stage.upstream)
    with between.failing(Spoiled(kind, path="/v1/messages[?]?[^/]*$")):
        attempt = stage.work(stage.agent(upstream=between.url))
    between.close()
    assert (attempt.ending, attempt.error) == ("failed", "claude-unavailable"), attempt
    assert 1 <= len(stage.ledger.entries()) <= 3
    assert attempt.cost_usd == float(stage.ledger.spent()) > 0


@wide
def test_budget_is_never_exceeded_and_its_end_is_the_reason(make_stage: Callable[..., Stage]) -> None:
    """The double's answers claim as many tokens as they were allowed to have, so the shortened ones cost less."""
    stage = make_stage(
        lambda talk: Step(
            say="More.",
            call=(Call(name="Bash", input={"command": "true"}),),
            input_tokens=2000,
            output_tokens=min(talk.document["max_tokens"], 30_000),
        ),
        budget=1.0,
    )
    attempt = stage.work(stage.agent())
    assert (attempt.ending, attempt.details["outcome"]) == ("out-of-money", "money")
    assert 0.6 < stage.ledger.spent() <= 1
    assert min(one.document["max_tokens"] for one in stage.double.received) < 50_000


@wide
def test_too_many_turns_end_the_attempt(make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("action.build.agents.claude.invocation.MOST_TURNS", 2)
    stage = make_stage(Scenario(steps=(Step(say="x", call=(Call(name="Bash", input={"command": "true"}),)),)))
    attempt = stage.work(stage.agent())
    assert (attempt.ending, attempt.details["outcome"]) == ("stopped", "turns"), attempt


@wide
def test_work_is_stopped_when_the_specification_is_cancelled(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario(steps=(Step(say="x", fault=Fault(kind="hang", seconds=60)),)))
    began = time.monotonic()
    attempt = stage.work(stage.agent(), watch=lambda: "cancelled" if time.monotonic() - began > 4 else "")
    assert attempt.ending == "cancelled"
    assert time.monotonic() - began < 20


@wide
def test_cancelled_job_is_left_in_time_for_its_work_to_be_kept(make_stage: Callable[..., Stage]) -> None:
    """Also while the API is silent, which is otherwise waited for, so that it is counted."""
    stage = make_stage(Scenario(steps=(Step(say="x", fault=Fault(kind="hang", seconds=60)),)))
    asked: list[float] = []

    def watch() -> str:
        asked.extend([time.monotonic()] if stage.double.received else [])
        return "interrupted" if asked and time.monotonic() - asked[0] > 1 else ""

    attempt = stage.work(stage.agent(), watch=watch)
    assert attempt.ending == "stopped"
    assert time.monotonic() - asked[0] < 6


@wide
def test_session_that_is_not_known_begins_anew(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario())
    lost = Session("5e1f6f0e-0000-4000-8000-000000000001", "", b'{"type":"nothing"}\n')
    attempt = stage.work(stage.agent(lost))
    assert attempt.ending == "done"
    assert attempt.session != lost.id


@wide
def test_blocking_question_ends_the_attempt_as_one(make_stage: Callable[..., Stage]) -> None:
    ask = Call(
        name="mcp__aicd-controlplane__ask_requester",
        input={"questions": [{"text": "Which currency is meant?", "blocking": True}]},
    )
    stage = make_stage(Scenario(steps=(Step(say="Hm.", call=(ask,)), Step(say="I wait."))))
    attempt = stage.work(stage.agent(desk=stage.desk))
    assert attempt.ending == "needs-input", attempt
    assert stage.desk.questions == [Question(text="Which currency is meant?", blocking=True)]


def test_dead_server_that_is_required_fails_before_anything_is_spent(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario())
    dead = load_mcp_config('{"mcpServers": {"notes": {"type": "http", "url": "http://127.0.0.1:9/mcp"}}}')
    with pytest.raises(OutsideError, match="notes"):
        stage.work(stage.agent(mcp=dead))
    assert stage.double.received == []


def test_required_server_that_dies_after_the_probe_stops_the_work_at_once(make_stage: Callable[..., Stage]) -> None:
    sleep = Call(name="Bash", input={"command": "sleep 2"})
    stage = make_stage(Scenario(steps=(Step(say="I begin.", call=(sleep,)), Step(say="I am done."))))
    marks = stage.area / "marks"
    marks.mkdir()
    marks.chmod(0o777)
    notes = stage.server()
    once = f"test -e {marks}/started && exit 3; touch {marks}/started; exec {notes['command']} {notes['args'][0]}"
    dies = {"command": "/bin/sh", "args": ["-c", once]}
    attempt = stage.work(stage.agent(mcp=load_mcp_config(json.dumps({"mcpServers": {"notes": dies}}))))
    assert (attempt.ending, attempt.error) == ("failed", "mcp-server-down"), attempt
    assert "notes" in attempt.reason
    assert "MCP servers: notes: failed" in stage.log.read_text()
    assert "I am done." not in stage.log.read_text()
    assert len(stage.double.received) <= 1


@wide
def test_dead_server_that_is_optional_is_noted(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(Scenario())
    config = '{"mcpServers": {"notes": {"type": "http", "url": "http://127.0.0.1:9/mcp", "required": false}}}'
    attempt = stage.work(stage.agent(mcp=load_mcp_config(config)))
    assert attempt.ending == "done"
    assert [(one["name"], one["status"]) for one in attempt.details["mcp_servers"]] == [("notes", "failed")]


def test_program_that_is_too_old_or_none_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for name, script in {"old": "echo '2.1.197 (Claude Code)'", "none": "exit 3"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with pytest.raises(UsageError, match=r"2\.1\.248 or newer is needed") as caught:
            find_claude(str(program))
        assert caught.value.code == "claude-too-old"
