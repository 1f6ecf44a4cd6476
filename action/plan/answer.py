"""The shape in which the model answers. Every field is required and of one type: structured output allows few others.

A criterion is a pair of texts, so that one flat list holds them all; what it may be is judged by our own model of a
Definition of Done (action/plan/check.py).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# A planner may ask for these. Others would let a letter run commands (`custom`), or need figures that only a person
# can know.
Key = Literal[
    "acceptance_traced",
    "coverage_min",
    "diff_coverage_min",
    "e2e_pass",
    "integrity",
    "lighthouse_min",
    "lint_pass",
    "security_max",
    "skipped_max",
    "tests_min",
    "type_check",
    "unit_pass",
]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoryAnswer(_Shape):
    id: str = Field(description="US1, US2 … unique in the whole plan")
    as_a: str = Field(description="who wants it")
    want: str
    so_that: str
    acceptance: list[str] = Field(description="sentences that a test can prove; each a single observable fact")


class CriterionAnswer(_Shape):
    key: Key
    value: str = Field(description="as JSON: true, 0.9, 12; security_max takes none, low, medium, high or critical")


class SprintAnswer(_Shape):
    label: str = Field(description="letters, digits and hyphens, at most 40; it names a branch; unique in the plan")
    goals: list[str]
    stories: list[StoryAnswer]
    dod: list[CriterionAnswer]
    depends_on: list[str] = Field(description="labels of sprints above this one that must be done first; may be empty")


class EpicAnswer(_Shape):
    title: str
    sprints: list[SprintAnswer]


class QuestionAnswer(_Shape):
    text: str
    blocking: bool = Field(description="true when a wrong guess would build the wrong thing")


class PlanAnswer(_Shape):
    epics: list[EpicAnswer]
    confidence: float = Field(description="0 to 1: how sure you are that this plan is what the requester wants")
    estimate_cost_usd: float = Field(description="what building all of it will cost in model usage, US dollars")
    estimate_minutes: float = Field(description="how long building all of it will take")
    questions: list[QuestionAnswer] = Field(description="in the language of the letter, for a person without code")


def answer_schema() -> dict[str, Any]:
    """The JSON Schema that the API holds the answer to."""
    return PlanAnswer.model_json_schema()
