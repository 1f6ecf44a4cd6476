"""Answers by API: who may, what goes on with them, and that one answer is one."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.database.test_planning import QUESTIONS
from tests.database.test_remarks import WHO, caller_named
from tests.database.test_requests import key_of
from tests.database.test_submissions import caller_of, submit
from tests.database.world import World, forbidden, refused

pytestmark = pytest.mark.database


def answer(world: World, caller: dict[str, str], spec_id: str, **changes: Any) -> Any:
    reply = {"id": str(uuid.uuid4()), "text": "Blue.", **changes}
    return world.functions().call("answer_spec_v1", caller=caller, spec_id=spec_id, reply=reply)


def ask(world: World, run_id: str) -> None:
    runner = world.runner_of(run_id)
    runner.call("start_run_v1", run_id=run_id, ci_run_id=run_id, ci_attempt=1)
    runner.call("ask_requester_v1", run_id=run_id, questions=QUESTIONS)


def submitted(world: World, labels: tuple[str, ...] = ("a",)) -> tuple[dict[str, str], str]:
    """A specification by API whose sprints, which wait for nothing, have all asked."""
    caller = caller_of(key_of(world))
    sprints = [{"label": label, "dod": {}, "depends_on": []} for label in labels]
    made = submit(world, caller, plan={"sprints": sprints})["spec"]
    for run in made["runs"]:
        ask(world, run["id"])
    return caller, made["id"]


def states(world: World) -> list[tuple[str, str]]:
    return world.all("select label, state from sprints order by position")


def test_sprint_that_asked_goes_on_with_the_answer_and_nobody_had_to_mail(world: World) -> None:
    caller, spec_id = submitted(world)
    told = answer(world, caller, spec_id)
    [sprint] = told["sprints"]
    assert (told["id"], sprint["label"], sprint["state"]) == (spec_id, "a", "PLANNED")
    start = world.runner_of(sprint["run_id"]).call(
        "start_run_v1", run_id=sprint["run_id"], ci_run_id="8", ci_attempt=1
    )["sprint"]
    assert [(one["text"], one["answered_by"]) for one in start["answers"]] == [("Blue.", f"key:{caller['id']}")]


@pytest.mark.parametrize(("who", "code"), WHO)
def test_whoever_may_have_something_built_answers(world: World, who: str, code: str | None) -> None:
    _, spec_id = submitted(world)
    world.settle("rival/shop")
    caller = caller_named(world, who)
    if code is None:
        answer(world, caller, spec_id)
    else:
        with refused(403 if code == "not-developer" else 404, code):
            answer(world, caller, spec_id)
    assert states(world) == [("a", "PLANNED" if code is None else "NEEDS_INPUT")]


def test_same_answer_again_is_one_and_says_nothing_to_a_later_question(world: World) -> None:
    caller, spec_id = submitted(world, ("a", "b"))
    given = {"id": str(uuid.uuid4()), "sprint": "a"}
    first = answer(world, caller, spec_id, **given)
    assert [one["label"] for one in first["sprints"]] == ["a"]
    assert answer(world, caller, spec_id, **given) == first
    assert answer(world, caller, spec_id, id=given["id"]) == first, "without the label, too"
    assert states(world) == [("a", "PLANNED"), ("b", "NEEDS_INPUT")]
    assert world.value("select sum(jsonb_array_length(answers_json)) from sprints") == 1


def test_answer_without_a_label_is_for_every_sprint_that_waits(world: World) -> None:
    caller, spec_id = submitted(world, ("a", "b"))
    assert [one["label"] for one in answer(world, caller, spec_id)["sprints"]] == ["a", "b"]
    assert states(world) == [("a", "PLANNED"), ("b", "PLANNED")]


def test_answer_to_nothing_is_refused(world: World) -> None:
    caller, spec_id = submitted(world)
    with refused(404, "sprint-not-found"):
        answer(world, caller, spec_id, sprint="z")
    for changes in ({"text": " "}, {"text": None}, {"id": None}):
        with refused(400, "bad-answer"):
            answer(world, caller, spec_id, **changes)
    answer(world, caller, spec_id)
    with refused(409, "sprint-not-waiting"):
        answer(world, caller, spec_id)


def test_members_and_runners_answer_through_the_function_only(world: World) -> None:
    caller, spec_id = submitted(world)
    run_id = world.value("select id::text from runs")
    for outsider in (world.member_of(world.projects["acme/shop"], "maintainer"), world.runner_of(run_id)):
        with forbidden():
            reply = {"id": "x", "text": "y"}
            outsider.call("answer_spec_v1", caller=caller, spec_id=spec_id, reply=reply)


def test_page_shows_the_last_round_as_open_while_it_waits(world: World) -> None:
    caller, spec_id = submitted(world)
    member = world.member_of(world.projects["acme/shop"])

    def shown() -> list[Any]:
        pages = [member.call("show_spec_v1", spec_id=spec_id),
                 world.functions().call("show_spec_for_v1", caller=caller, spec_id=spec_id)]  # fmt: skip
        assert pages[0]["sprints"] == pages[1]["sprints"]
        return [(one["id"], one["text"]) for one in pages[0]["sprints"][0]["open_questions"]]

    assert shown() == [("q1", "Which colour?")]
    [sprint] = answer(world, caller, spec_id)["sprints"]
    assert shown() == []
    runner = world.runner_of(sprint["run_id"])
    runner.call("start_run_v1", run_id=sprint["run_id"], ci_run_id="9", ci_attempt=1)
    asked = [{"id": "q2", "text": "How large?", "blocking": False}]
    runner.call("ask_requester_v1", run_id=sprint["run_id"], questions=asked)
    assert shown() == [("q2", "How large?")]
