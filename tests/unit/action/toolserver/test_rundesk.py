"""The desk of one run: bounded, and with no effect but what is told, asked and measured."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from action.console import Console
from action.journal import Journal
from action.pace import Pace
from action.run import Run
from action.runfolder import RunFolder
from action.settings import GitHubContext
from action.toolserver.desk import Decision, Question
from action.toolserver.rundesk import Checked, DeskLimits, RunDesk
from controlplane.dod import DefinitionOfDone
from controlplane.errors import Conflict, NotFound
from controlplane.plan import AcceptanceLine, Sprint, Story
from controlplane.spec import Spec, SpecFile
from controlplane.verdict import Criterion, Verdict

RUN = Run(
    run_id="6b0f0000-0000-4000-8000-000000000001",
    spec_id="6b0f0000-0000-4000-8000-000000000002",
    sprint_label="S1",
    repository="acme/shop",
    remote_url="",
    branch="aicd/6b0f0000/s1",
    base="a" * 40,
    started_at="2026-11-21T00:00:00+00:00",
)
SPEC = Spec(
    project="shop",
    repo="acme/shop",
    format="text",
    sha256="0" * 64,
    requester_email="dana@example.com",
    letter="Please sum the prices.",
    files=(SpecFile(path="a.py", content="x = 1\n"),),
)
SPRINT = Sprint(
    label="S1",
    goals=("Sum prices",),
    stories=(Story(id="US1", want="a sum", acceptance=(AcceptanceLine(id="US1.1", text="1 and 2 give 3"),)),),
    dod=DefinitionOfDone(coverage_min=0.8),
)
FAILED = Verdict(
    criteria=(Criterion(id="coverage_min", required=0.8, actual=0.5, status="failed", reason="Too little."),)
)


def open_desk(folder: Path, **given: Any) -> RunDesk:
    journal = Journal(RunFolder(folder), Console(GitHubContext()), RUN.run_id, None)
    return RunDesk(RUN, SPEC, SPRINT, journal, **given)


def events(folder: Path) -> list[dict[str, Any]]:
    path = folder / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_spec_is_told_without_the_address_of_its_writer(tmp_path: Path) -> None:
    told = json.dumps(open_desk(tmp_path).get_spec())
    assert "Please sum" in told
    assert "dana@example.com" not in told


def test_plan_names_acceptance_ids_and_what_holds_unwritten(tmp_path: Path) -> None:
    plan = open_desk(tmp_path).get_plan()
    assert plan["stories"][0]["acceptance"][0]["id"] == "US1.1"
    assert plan["definition_of_done"] == {"unit_pass": True, "integrity": True, "coverage_min": 0.8}


def test_progress_within_a_second_is_not_passed_on(tmp_path: Path) -> None:
    now = [10.0]
    desk = open_desk(tmp_path, pace=Pace(clock=lambda: now[0]))
    passed = []
    for at in (10.0, 10.5, 10.9, 11.0):
        now[0] = at
        passed.append(desk.report_progress(f"at {at}\nsecond line", 5)["passed_on"])
    assert passed == [True, False, False, True]
    assert [event["message"] for event in events(tmp_path)] == [
        "Agent: at 10.0 second line",
        "Agent: at 11.0 second line",
    ]


def test_blocking_question_asks_the_agent_to_stop(tmp_path: Path) -> None:
    desk = open_desk(tmp_path)
    assert "Go on" in desk.ask_requester([Question(text="Which currency, if it matters?", blocking=False)])["next"]
    assert not desk.waits_for_answer
    assert "Stop working" in desk.ask_requester([Question(text="Which tax rate?")])["next"]
    assert desk.waits_for_answer


def test_question_asked_twice_is_one_question(tmp_path: Path) -> None:
    desk = open_desk(tmp_path)
    for _ in range(3):
        desk.ask_requester([Question(text="Which tax rate?")])
    assert len(desk.questions) == 1 == len(events(tmp_path))


def test_eleventh_question_is_refused(tmp_path: Path) -> None:
    desk = open_desk(tmp_path)
    desk.ask_requester([Question(text=f"Question {number}?") for number in range(10)])
    with pytest.raises(Conflict):
        desk.ask_requester([Question(text="One more?")])
    assert len(desk.questions) == 10


def test_check_hands_over_what_fails_and_is_bounded_by_attempt(tmp_path: Path) -> None:
    asked: list[float] = []

    def check(seconds: float, is_over: Any) -> Checked:
        asked.append(seconds)
        return Checked(verdict=FAILED, feedback="more tests")

    desk = open_desk(tmp_path, check=check, limits=DeskLimits(checks=2, check_seconds=7))
    first = desk.check_dod()
    assert (first["result"], first["checks_left"], first["feedback"]) == ("FAILED", 1, "more tests")
    assert first["criteria"][0]["reason"] == "Too little."
    desk.check_dod()
    with pytest.raises(Conflict, match="2 times"):
        desk.check_dod()
    desk.next_attempt()
    assert desk.check_dod()["checks_left"] == 1
    assert asked == [7, 7, 7]


def test_second_check_at_once_is_refused_and_costs_none(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def check(seconds: float, is_over: Any) -> Checked:
        begun.set()
        go_on.wait(5)
        return Checked(verdict=FAILED)

    desk = open_desk(tmp_path, check=check)
    thread = threading.Thread(target=desk.check_dod)
    thread.start()
    begun.wait(5)
    with pytest.raises(Conflict, match="running already"):
        desk.check_dod()
    go_on.set()
    thread.join(5)
    assert desk.check_dod()["checks_left"] == 2


def test_check_of_an_attempt_that_ended_is_over_and_one_of_the_next_is_not(tmp_path: Path) -> None:
    told: list[Any] = []

    def check(seconds: float, is_over: Any) -> Checked:
        told.append(is_over)
        return Checked(verdict=FAILED)

    desk = open_desk(tmp_path, check=check)
    for _ in range(2):
        desk.next_attempt()
        desk.check_dod()
        assert not told[-1]()
        desk.end_attempt()
        assert [is_over() for is_over in told] == [True] * len(told)


def test_check_is_refused_where_nothing_can_be_measured(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_desk(tmp_path).check_dod()


def test_decision_is_kept_once_with_its_reason(tmp_path: Path) -> None:
    desk = open_desk(tmp_path)
    decision = Decision(title="Use Decimal", reason="money", alternatives=("float",))
    for _ in range(2):
        desk.record_decision(decision)
    assert desk.decisions == [decision]
    assert events(tmp_path)[0]["metadata"]["decision"]["alternatives"] == ["float"]


def test_secret_in_a_question_or_decision_is_gone_on_arrival(tmp_path: Path) -> None:
    """From here they go to the mail, the report and the database."""
    canary = "notion_canary_a1b2c3d4"
    journal = Journal(RunFolder(tmp_path), Console(GitHubContext(), (canary,)), RUN.run_id, None)
    desk = RunDesk(RUN, SPEC, SPRINT, journal)
    for _ in range(2):
        desk.ask_requester([Question(text=f"Is {canary} yours?", blocking=False), Question(text=canary)])
        desk.record_decision(Decision(title=f"Use {canary}", reason=canary, alternatives=(f"not {canary}",)))
    assert [one.text for one in desk.questions] == ["Is *** yours?", "***"]
    assert desk.decisions == [Decision(title="Use ***", reason="***", alternatives=("not ***",))]
    assert canary not in (tmp_path / "events.jsonl").read_text()


def test_search_without_a_control_plane_says_so(tmp_path: Path) -> None:
    assert "no control plane" in open_desk(tmp_path).search_runs("", 5)["note"]
    found = open_desk(tmp_path, find_runs=lambda query, limit: [{"query": query, "limit": limit}])
    assert found.search_runs("tax", 3) == {"runs": [{"query": "tax", "limit": 3}]}
