"""The model's answer is held to the rules that people's specifications are held to."""

from __future__ import annotations

from typing import Any

import pytest

from action.plan.check import check_answer
from controlplane.specfile import check_spec
from tests.unit.action.plan.conftest import (
    criterion,
    letter_spec,
    plan_answer,
    question,
    sprint_answer,
    story_answer,
    written,
)


def one(sprint: dict[str, Any], **changes: Any) -> str:
    return written(plan_answer(epics=[{"title": "E", "sprints": [sprint]}], **changes))


def test_acceptance_lines_get_the_ids_that_tests_name() -> None:
    checked = check_answer(written(plan_answer()), letter_spec())
    assert checked.problems == ()
    assert checked.plan is not None
    [sprint] = checked.plan.sprints
    assert [line.id for line in sprint.stories[0].acceptance] == ["US1.1", "US1.2"]
    assert sprint.dod.model_dump(exclude_unset=True) == {
        "coverage_min": 0.8,
        "tests_min": 2,
        "acceptance_traced": True,
    }


def test_sprints_of_several_epics_stand_in_their_order_with_what_they_wait_for() -> None:
    second = sprint_answer(label="divide", stories=[story_answer(id="US2")], depends_on=["subtract"])
    third = sprint_answer(label="docs", stories=[story_answer(id="US3")])
    answer = plan_answer(
        epics=[{"title": "A", "sprints": [sprint_answer()]}, {"title": "B", "sprints": [second, third]}]
    )
    checked = check_answer(written(answer), letter_spec())
    assert checked.plan is not None
    assert [(sprint.label, sprint.depends_on) for sprint in checked.plan.sprints] == [
        ("subtract", ()),
        ("divide", ("subtract",)),
        ("docs", ()),
    ]


def test_definition_of_done_that_the_requester_wrote_holds_in_every_sprint() -> None:
    spec = check_spec(b"meta: {project: calc, repo: acme/calc}\ndod: {lint_pass: true}\n", "spec.yaml").spec
    assert spec is not None
    checked = check_answer(written(plan_answer()), spec)
    assert checked.plan is not None
    assert checked.plan.sprints[0].dod.lint_pass is True
    assert checked.plan.sprints[0].dod.coverage_min == 0.8


BROKEN: dict[str, tuple[str, str]] = {
    "not-json": ("Here is your plan!", "answer"),
    "cut": (written(plan_answer())[:-30], "answer"),
    "another-shape": (written({"plan": []}), "epics"),
    "strange-key": (one(sprint_answer(dod=[criterion("custom", "rm -rf /")])), "dod"),
    "share-above-one": (one(sprint_answer(dod=[criterion("coverage_min", "80")])), "coverage_min"),
    "share-in-words": (one(sprint_answer(dod=[criterion("coverage_min", "80%")])), "coverage_min"),
    "severity-unknown": (one(sprint_answer(dod=[criterion("security_max", "awful")])), "security_max"),
    "key-twice": (one(sprint_answer(dod=[criterion("tests_min", "1"), criterion("tests_min", "2")])), "twice"),
    "tests-off": (one(sprint_answer(dod=[criterion("unit_pass", "false")])), "unit_pass always holds"),
    "integrity-off": (one(sprint_answer(dod=[criterion("integrity", "null")])), "integrity always holds"),
    "label": (one(sprint_answer(label="../etc")), "id"),
    "label-twice": (
        written(plan_answer(epics=[{"title": "E", "sprints": [sprint_answer(), sprint_answer()]}])),
        "already has the id",
    ),
    "nobody-to-wait-for": (one(sprint_answer(depends_on=["later"])), "No sprint above"),
    "no-story": (one(sprint_answer(stories=[])), "no story"),
    "no-acceptance": (one(sprint_answer(stories=[story_answer(acceptance=[" "])])), "no acceptance line"),
    "confidence": (written(plan_answer(confidence=7)), "confidence"),
    "estimate": (written(plan_answer(estimate_cost_usd=-1)), "estimate"),
    "nothing": (written(plan_answer(epics=[])), "no sprint"),
    "only-idle-questions": (written(plan_answer(epics=[], questions=[question("?", blocking=False)])), "no sprint"),
    "too-many-questions": (written(plan_answer(questions=[question("?")] * 11)), "at most 10"),
    "too-many-sprints": (
        written(plan_answer(epics=[{"title": "E", "sprints": [sprint_answer(label=f"s{n}") for n in range(21)]}])),
        "at most 20",
    ),
}


@pytest.mark.parametrize(("text", "told"), BROKEN.values(), ids=BROKEN.keys())
def test_answer_that_breaks_a_rule_has_no_plan_and_says_which(text: str, told: str) -> None:
    checked = check_answer(text, letter_spec())
    assert checked.plan is None
    assert any(told in problem for problem in checked.problems), checked.problems
    assert len(checked.problems) <= 25


def test_answer_that_only_asks_has_no_problems() -> None:
    checked = check_answer(written(plan_answer(epics=[], questions=[question("In which currency?")])), letter_spec())
    assert (checked.plan, checked.problems) == (None, ())


def test_texts_of_the_model_are_bounded_and_on_one_line() -> None:
    story = story_answer(want="a\u200bb\n\nc" * 5_000, acceptance=["x\u202ey\nz"])
    checked = check_answer(one(sprint_answer(stories=[story])), letter_spec())
    assert checked.plan is not None
    told = checked.plan.sprints[0].stories[0]
    assert len(told.want) == 2_000
    assert "\n" not in told.want
    assert told.acceptance[0].text == "xy z"
