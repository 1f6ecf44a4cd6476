"""The table of tools: what an agent is told of each, what it may ask, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from controlplane.spec import RepositoryName
from controlplane.states import Result
from functions._shared.api.asked import SpecState
from functions.mcp.desk import Desk

Answer = Mapping[str, Any]


class Asked(BaseModel):
    """What is misspelt is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OneSpec(Asked):
    spec_id: UUID = Field(description="As list_specs has it.")


class Specs(Asked):
    repo: RepositoryName | None = Field(None, description="OWNER/NAME.")
    state: SpecState | None = None
    limit: int = Field(20, ge=1, le=100)


class Runs(Asked):
    query: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = Field(
        "", description="Words that must all occur in the run: a criterion, a file, a part of an error."
    )
    repo: RepositoryName | None = Field(None, description="OWNER/NAME.")
    spec_id: UUID | None = None
    result: Result | None = None
    limit: int = Field(10, ge=1, le=50)


@dataclass(frozen=True)
class Tool:
    """All of them read, and nothing else."""

    name: str
    description: str
    arguments: type[BaseModel]
    answer: Callable[[Desk, Any], Answer]
    title: str
    kind: Literal["read"] = "read"


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "list_specs",
            "The specifications that you may see, newest first, each with its state and its sprints' states.",
            Specs,
            lambda desk, asked: desk.list_specs(asked.model_dump(mode="json", exclude_none=True)),
            "List specifications",
        ),
        Tool(
            "get_spec",
            "One specification: its state, its sprints, its runs with their verdicts and pull requests, and what "
            "happened. Questions that wait for an answer are with their sprint.",
            OneSpec,
            lambda desk, asked: desk.get_spec(str(asked.spec_id)),
            "Show a specification",
        ),
        Tool(
            "get_plan",
            "The plan of a specification: sprints with goals, user stories, acceptance lines with their ids, and the "
            "Definition of Done.",
            OneSpec,
            lambda desk, asked: desk.get_plan(str(asked.spec_id)),
            "Show a plan",
        ),
        Tool(
            "search_runs",
            "Runs by what is said of them, newest first: result, which criteria failed and why, branch, pull request.",
            Runs,
            lambda desk, asked: desk.search_runs(asked.model_dump(mode="json", exclude_none=True)),
            "Search runs",
        ),
    )
}
