"""The model's answer, judged by the rules that hold for people's specifications: the same labels, acceptance ids,
dependencies and Definition of Done. What breaks one is told in words that the model can act on.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from action.plan.answer import PlanAnswer, SprintAnswer, StoryAnswer
from action.plan.plaintext import visible
from controlplane.noun import Noun
from controlplane.plan import Plan
from controlplane.spec import Spec
from controlplane.specfile import check_spec

MOST_SPRINTS = 20
MOST_TEXT = 2_000
MOST_QUESTIONS = 10
MOST_PROBLEMS = 25
# These hold in every plan; only a person may write a specification without them.
HOLD_ALWAYS = ("unit_pass", "integrity")


class CheckedAnswer(Noun):
    """`plan` and `answer`, or `problems`. An answer that only asks has neither plan nor problems."""

    answer: PlanAnswer | None = None
    plan: Plan | None = None
    problems: tuple[str, ...] = ()


def check_answer(text: str, spec: Spec) -> CheckedAnswer:
    """Read and judge. Never raises for what a model may write."""
    try:
        answer = PlanAnswer.model_validate_json(text)
    except ValidationError as error:
        return CheckedAnswer(problems=tuple(_complaints(error)))
    problems = _own_rules(answer)
    if not any(epic.sprints for epic in answer.epics):
        asks = any(question.text.strip() and question.blocking for question in answer.questions)
        if not asks:
            problems.append("The plan has no sprint. Plan at least one, or ask a blocking question.")
        return CheckedAnswer(answer=answer, problems=tuple(problems[:MOST_PROBLEMS]))
    check = check_spec(json.dumps(_document(answer, spec)).encode(), "plan.json")
    problems += [f"{problem.path}: {problem.message}" for problem in check.problems]
    plan = check.spec.plan if check.spec else None
    if problems or plan is None:
        return CheckedAnswer(answer=answer, problems=tuple(problems[:MOST_PROBLEMS]) or ("The plan cannot be read.",))
    return CheckedAnswer(answer=answer, plan=plan)


def _complaints(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(step) for step in complaint['loc']) or 'answer'}: {complaint['msg']}"
        for complaint in error.errors(include_url=False, include_input=False)[:MOST_PROBLEMS]
    ]


def _own_rules(answer: PlanAnswer) -> list[str]:
    """What a person may leave out and a planner may not."""
    problems = []
    if not 0 <= answer.confidence <= 1:
        problems.append("confidence: write a number from 0 to 1.")
    if not (0 <= answer.estimate_cost_usd < 1e6 and 0 <= answer.estimate_minutes < 1e6):
        problems.append("estimate_cost_usd and estimate_minutes: write numbers that are not negative.")
    sprints = [sprint for epic in answer.epics for sprint in epic.sprints]
    if len(sprints) > MOST_SPRINTS:
        problems.append(f"A plan has at most {MOST_SPRINTS} sprints; this one has {len(sprints)}.")
    if len(answer.questions) > MOST_QUESTIONS:
        problems.append(f"Ask at most {MOST_QUESTIONS} questions; put the blocking ones first.")
    for sprint in sprints:
        problems += _rules_of(sprint)
    return problems


def _rules_of(sprint: SprintAnswer) -> list[str]:
    problems = []
    if not sprint.stories:
        problems.append(f"sprint {sprint.label}: it has no story.")
    problems += [
        f"story {story.id}: no acceptance line says how a test can tell that it is done."
        for story in sprint.stories
        if not any(line.strip() for line in story.acceptance)
    ]
    keys = [criterion.key for criterion in sprint.dod]
    problems += [f"sprint {sprint.label}: {key} stands twice." for key in sorted(set(keys)) if keys.count(key) > 1]
    problems += [
        f"sprint {sprint.label}: {criterion.key} always holds; it cannot be {criterion.value}."
        for criterion in sprint.dod
        if criterion.key in HOLD_ALWAYS and criterion.value.strip().lower() != "true"
    ]
    return problems


def _document(answer: PlanAnswer, spec: Spec) -> dict[str, Any]:
    """The answer as the specification that a person would have written."""
    document: dict[str, Any] = {
        # Which repository it is does not change a rule, and a letter on one's own machine may name none.
        "meta": {"project": "plan", "repo": "plan/plan"},
        "planning": {
            "epics": [
                {"title": _text(epic.title) or "Epic", "sprints": [_sprint(sprint) for sprint in epic.sprints]}
                for epic in answer.epics
            ]
        },
    }
    if spec.dod is not None:
        document["dod"] = spec.dod.model_dump(mode="json", exclude_unset=True)
    if spec.policies.branch:
        document["policies"] = {"branch": spec.policies.branch}
    return document


def _sprint(sprint: SprintAnswer) -> dict[str, Any]:
    return {
        "id": sprint.label,
        "goals": [_text(goal) for goal in sprint.goals if goal.strip()],
        "user_stories": [_story(story) for story in sprint.stories],
        "dod": {criterion.key: _value(criterion.value) for criterion in sprint.dod},
        "depends_on": list(sprint.depends_on),
    }


def _story(story: StoryAnswer) -> dict[str, Any]:
    parts = {"as": _text(story.as_a), "want": _text(story.want), "so_that": _text(story.so_that)}
    return {
        "id": story.id,
        **{key: value for key, value in parts.items() if value},
        "acceptance": [_text(line) for line in story.acceptance if line.strip()],
    }


def _text(text: str) -> str:
    return " ".join(visible(text).split())[:MOST_TEXT]


def _value(text: str) -> Any:
    """JSON where it is JSON, else the word itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()
