"""The plan: sprints in the order they are to be built, each with its stories, acceptance lines and DoD."""

from __future__ import annotations

from pydantic import Field

from controlplane.dod import DefinitionOfDone
from controlplane.noun import Noun


class AcceptanceLine(Noun):
    """One sentence a test must prove. `id` is STORY.POSITION, counted from 1: `US1.2`."""

    id: str
    text: str


class Story(Noun):
    id: str
    as_a: str = ""
    want: str = ""
    so_that: str = ""
    acceptance: tuple[AcceptanceLine, ...] = ()


class Sprint(Noun):
    """`label` is unique in the plan; it names the branch and the pull request.

    `depends_on` names sprints that stand before this one: it begins when all of them are done. None: after the one
    before it. Empty: at once.
    """

    label: str
    goals: tuple[str, ...] = ()
    stories: tuple[Story, ...] = ()
    dod: DefinitionOfDone = Field(default_factory=DefinitionOfDone)
    depends_on: tuple[str, ...] | None = None


class Plan(Noun):
    """Never empty: a specification without a sprint has no plan yet (see `Spec.needs_planning`)."""

    sprints: tuple[Sprint, ...] = Field(min_length=1)
