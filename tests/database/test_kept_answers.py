"""What the planner's model answered: kept for the sprint's next planning, for nobody else, and not too long."""

from __future__ import annotations

from typing import Any

import pytest

from tests.database.test_planning import QUESTIONS, plan, unplanned
from tests.database.world import World, forbidden, refused

pytestmark = pytest.mark.database

KEY, ANSWER = "a" * 64, {"text": "{}", "stop_reason": "end_turn", "model": "m", "usage": {}}


def keep(world: World, run_id: str, key: str = KEY, answer: Any = ANSWER, **claims: Any) -> Any:
    return world.runner_of(run_id, **claims).call("keep_answer_v1", run_id=run_id, key=key, answer=answer)


def find(world: World, run_id: str, key: str = KEY) -> Any:
    return world.runner_of(run_id).call("find_answer_v1", run_id=run_id, key=key)


def another_try(world: World, run_id: str) -> str:
    """The run died; somebody asks for another one of the same sprint."""
    world.functions().call("abandon_run_v1", run_id=run_id, code="dead", reason="It went silent.")
    with world.administration() as operator:
        operator.retry_sprint(world.value("select sprint_id::text from runs where id = %s", run_id))
    again = str(world.value("select id::text from runs where result is null"))
    world.runner_of(again).call("start_run_v1", run_id=again, ci_run_id="again", ci_attempt=1)
    return again


def test_answer_waits_for_the_next_run_of_the_sprint_that_died(world: World) -> None:
    made = unplanned(world)
    assert find(world, made["run_id"]) is None
    keep(world, made["run_id"])
    keep(world, made["run_id"])
    assert find(world, another_try(world, made["run_id"])) == ANSWER
    assert find(world, world.value("select id::text from runs where result is null"), "b" * 64) is None


def test_answer_of_another_sprint_is_nobodys(world: World) -> None:
    mine, other = unplanned(world), unplanned(world)
    keep(world, mine["run_id"])
    assert find(world, other["run_id"]) is None
    with refused(404, "run-not-found"):
        world.runner_of(other["run_id"]).call("find_answer_v1", run_id=mine["run_id"], key=KEY)
    with forbidden():
        world.runner_of(mine["run_id"]).rows("select * from private.kept_answers")


@pytest.mark.parametrize("verb", ["record_plan_v1", "ask_requester_v1", "forget_answers_v1", "cancelled"])
def test_answer_is_gone_when_it_has_served_its_purpose(world: World, verb: str) -> None:
    made = unplanned(world)
    keep(world, made["run_id"])
    given = {"record_plan_v1": {"plan": plan()}, "ask_requester_v1": {"questions": QUESTIONS}}.get(verb, {})
    if verb == "cancelled":
        with world.administration() as operator:
            operator.cancel_spec(made["spec_id"], "")
    else:
        world.runner_of(made["run_id"]).call(verb, run_id=made["run_id"], **given)
    assert world.value("select count(*) from private.kept_answers") == 0


def test_only_a_few_answers_are_kept_and_none_that_is_too_large_or_none(world: World) -> None:
    run_id = unplanned(world)["run_id"]
    for digit in "012345":
        keep(world, run_id, digit * 64)
    assert [find(world, run_id, digit * 64) is not None for digit in "012345"] == [False, False, *[True] * 4]
    with refused(413, "too-large"):
        keep(world, run_id, answer={"text": "x" * 600_000})
    for key, answer in ((KEY, None), ("A" * 64, ANSWER), ("a", ANSWER)):
        with refused(400, "bad-answer"):
            keep(world, run_id, key, answer)


def test_nothing_is_kept_for_a_sprint_that_has_its_plan_or_by_the_other_half(world: World) -> None:
    with refused(409, "already-planned"):
        keep(world, world.started()["run_id"])
    run_id = unplanned(world)["run_id"]
    for verb, more in (("keep_answer_v1", {"key": KEY, "answer": ANSWER}), ("find_answer_v1", {"key": KEY}),
                       ("forget_answers_v1", {})):  # fmt: skip
        with refused(403, "wrong-scope"):
            world.runner_of(run_id, scope="publish").call(verb, run_id=run_id, **more)
