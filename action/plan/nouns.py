"""What planning takes and what it returns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from action.money import Usage
from action.plan.dialogue import Answer, Question
from action.plan.repository import RepositoryView
from controlplane.noun import Noun
from controlplane.plan import Plan
from controlplane.spec import Spec


class Estimate(Noun):
    """What building the whole plan will probably take: US dollars for the model, and minutes of a runner."""

    cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0


class PlanRequest(Noun):
    """`questions` are all that were asked before, `answers` all that came back, both oldest first.

    `prompt` is the system prompt, from `action.plan.prompt.load_prompt`.
    """

    spec: Spec
    repository: RepositoryView
    prompt: str
    questions: tuple[Question, ...] = ()
    answers: tuple[Answer, ...] = ()


class Planned(Noun):
    """`confidence` from 0 to 1 is the model's own; `usage` counts every call, a repair's too."""

    plan: Plan
    confidence: Annotated[float, Field(ge=0, le=1)]
    estimate: Estimate = Estimate()
    questions: tuple[Question, ...] = ()
    model: str
    prompt_sha256: str
    usage: Usage = Usage()
    calls: int = 1


class Unplanned(Noun):
    """The model planned nothing and asks instead. Fields as in `Planned`."""

    questions: tuple[Question, ...]
    confidence: Annotated[float, Field(ge=0, le=1)]
    model: str
    prompt_sha256: str
    usage: Usage = Usage()
    calls: int = 1
