"""Building with Claude against the real control plane: set aside, woken, answered, cancelled, and its money counted.

The functions, the database, the doubles of Google and GitHub, the action's verbs and Claude Code are the real ones; the
model is the double of the Messages API. Each start of Claude Code takes seconds, so most of this is for the wide run.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.administration import Administration
from local.doubles.anthropic import Call, Conversation, Fault, Step
from tests.contract.functions.conftest import SPEC
from tests.contract.functions.test_planning import Desk, claude, desk

__all__ = ["claude", "desk"]
wide = pytest.mark.skipif("AICD_WIDE_TESTS" not in os.environ, reason="set AICD_WIDE_TESTS=1")
EPOCH = int((datetime.now(UTC) + timedelta(hours=3)).timestamp())
ASK = "mcp__aicd-controlplane__ask_requester"


def write(name: str, content: str = "half\n") -> Call:
    return Call(name="Write", input={"file_path": f"{{folder}}/{name}", "content": content})


def build(desk: Desk, script: Any, **more: str) -> tuple[list[int], Path]:
    """Start, plan and build; each CI run in a folder of its own, as on another worker."""
    desk.claude.set_script(script)
    desk.claude.received.clear()
    desk.folder.chmod(0o755)
    given = {"AICD_AGENT": "claude", "AICD_MAX_ITERATIONS": "1", "ANTHROPIC_BASE_URL": desk.base_url, **more}
    return desk.call("start", "plan", "build", **given)


def ingested(desk: Desk) -> str:
    return str(desk.line.ingest(SPEC)["run_id"])


def test_usage_limit_sets_the_build_aside_and_another_worker_goes_on_with_the_same_session(desk: Desk) -> None:
    ingested(desk)
    first = [
        Step(say="The first half.", call=(write("half.txt"),)),
        Step(fault=Fault(kind="limit-text", resets_at=EPOCH)),
    ]
    codes, folder = build(desk, lambda talk: first[min(talk.turn, 1)])
    assert codes == [0, 0, 0]
    assert desk.sprints() == [("S1", "PAUSED")]
    [(result, status)] = desk.line.rows("select result, summary_json ->> 'status' from public.runs")
    assert (result, status) == ("FAILED", "PAUSED")
    assert desk.line.rows("select count(*) from public.outbox where payload ->> 'template' = 'report'") == [(0,)]
    [(session, resume_at)] = desk.line.rows(
        "select session_json, extract(epoch from resume_at)::int from public.sprints"
    )
    assert abs(resume_at - EPOCH) <= 60
    assert json.loads((folder / "released.json").read_text())["status"] == "PAUSED"

    desk.line.database.execute("update public.sprints set resume_at = now() - interval '1 second'")
    assert len(desk.line.store.wake_sprints()) == 1
    second = [Step(), Step(say="The second half.", call=(write("whole.txt"),)), Step(say="Done.")]
    codes, folder = build(desk, lambda talk: second[min(talk.turn, 2)])
    assert codes == [0, 0, 0]
    change = json.loads((folder / "change.json").read_text())
    assert sorted(change["files"]) == ["half.txt", "whole.txt"]
    outcome = json.loads((folder / "build.json").read_text())
    assert outcome["session"] == session["session"]
    said = str(desk.claude.received[0].document["messages"])
    assert "The first half." in said
    assert "on another machine" in said
    spent = desk.line.rows("select kind, count(*), sum(cost_usd)::float from public.ledger group by kind")
    assert spent == [("builder", 3, 0.024)]


@wide
def test_question_of_the_agent_goes_out_by_mail_and_the_answer_comes_back_into_its_session(desk: Desk) -> None:
    desk.receive("x")  # a letter, so that there is a thread; its plan is made first
    question = {"questions": [{"text": "Which language shall the greeting have?", "blocking": True}]}

    def asks(talk: Conversation) -> Step:
        steps = [Step(say="Hm.", call=(Call(name=ASK, input=question),)), Step(say="I wait for the answer.")]
        return steps[min(talk.turn, 1)]

    desk.line.database.execute("update public.sprints set plan_json = %s, label = 'S1'", (json.dumps(PLANNED),))
    codes, _ = build(desk, asks)
    assert codes == [0, 0, 0]
    assert desk.sprints()[0][1] == "NEEDS_INPUT"
    asked = desk.mail()
    assert "Which language shall the greeting have?" in asked.get_body(("plain",)).get_content()
    desk.receive("1. In French, please.\n", answers=asked)
    assert desk.sprints()[0][1] == "PLANNED"
    codes, folder = build(desk, lambda talk: [Step(call=(write("fr.txt"),)), Step(say="Done.")][talk.turn > 2])
    assert codes == [0, 0, 0]
    said = str(desk.claude.received[0].document["messages"])
    assert "In French, please." in said
    assert "I wait for the answer." in said
    assert json.loads((folder / "change.json").read_text())["files"] == ["fr.txt"]


PLANNED = {"label": "S1", "goals": ["Greet"], "stories": [], "dod": {"unit_pass": True}}


@wide
def test_budget_of_the_project_ends_the_build_and_the_report_says_so(desk: Desk) -> None:
    with Administration(desk.line.world.db_url) as operator:
        operator.create_project({"repo": "acme/greeting", "policy": {"budget_usd_run": 0.3}})
    ingested(desk)
    loops = Step(say="Again.", call=(Call(name="Bash", input={"command": "true"}),), output_tokens=4_000)
    codes, folder = build(desk, lambda _: loops)
    assert codes == [0, 0, 1]
    assert json.loads((folder / "failure.json").read_text())["code"] == "budget-exceeded"
    [(spent,)] = desk.line.rows("select sum(cost_usd)::float from public.ledger")
    assert 0.15 < spent <= 0.3


@wide
def test_cancelled_specification_stops_the_agent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("action.verbs.build.BudgetWatch.__init__.__defaults__", (0.5,))
    run_id = ingested(desk)

    def cancels(talk: Conversation) -> Step:
        if talk.turn == 0:
            with Administration(desk.line.world.db_url) as operator:
                [(spec_id,)] = desk.line.rows("select id::text from public.specs")
                operator.cancel_spec(spec_id, "")
        return Step(say="On.", call=(Call(name="Bash", input={"command": "sleep 30"}),))

    desk.the_run = lambda: run_id  # type: ignore[method-assign]
    codes, folder = build(desk, cancels)
    assert codes[2] == 1
    assert json.loads((folder / "failure.json").read_text())["code"] == "cancelled"
