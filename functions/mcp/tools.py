"""The table of tools: what an agent is told of each, what it may ask, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

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


Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Progress(OneSpec):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class Decision(OneSpec):
    title: Title = Field(description="What was decided, in one sentence.")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]


class Question(Asked):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=1_000)]
    blocking: bool = Field(default=True, description="False where you can go on with a guess.")


def _as_question(given: Any) -> Any:
    return {"text": given} if isinstance(given, str) else given


class OneSprint(OneSpec):
    sprint: Annotated[str, StringConstraints(max_length=200)] | None = Field(None, description="Its label.")


class Questions(OneSprint):
    questions: tuple[Annotated[Question, BeforeValidator(_as_question, json_schema_input_type=str | Question)], ...] = (
        Field(
            min_length=1,
            max_length=5,
            description='1 to 5, each a text, or {"text": "…", "blocking": false} where you can go on with a guess.',
        )
    )


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
    """`note` keeps an event of a specification, `ask` has a mail sent to its requester."""

    name: str
    description: str
    arguments: type[BaseModel]
    answer: Callable[[Desk, Any], Answer]
    title: str
    kind: Literal["read", "note", "ask"] = "read"

    @property
    def takes(self) -> str:
        """Its arguments in words, for whoever gave others."""
        fields = self.arguments.model_fields.items()
        return "; ".join(
            f"{name}{'' if field.is_required() else ' (optional)'}{f': {field.description}' * bool(field.description)}"
            for name, field in fields
        )


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
        Tool(
            "check_dod",
            "What each sprint's Definition of Done asks for, and what its last finished run found: every criterion "
            "with required, actual, status and reason, and the commit that this was found in. Measures nothing itself.",
            OneSprint,
            lambda desk, asked: desk.check_dod(str(asked.spec_id), asked.sprint),
            "Check the Definition of Done",
        ),
        Tool(
            "report_progress",
            "One sentence about the work on a specification for those who wait for it, kept as an event that says who. "
            "20 notes in an hour and 100 in all for a specification that is not over.",
            Progress,
            lambda desk, asked: desk.note(str(asked.spec_id), {"kind": "progress", "text": asked.text}),
            "Report progress",
            "note",
        ),
        Tool(
            "record_decision",
            "A choice that the reviewer should know of, with its reason, kept as an event; bounded as report_progress.",
            Decision,
            lambda desk, asked: desk.note(
                str(asked.spec_id), {"kind": "decision", "title": asked.title, "reason": asked.reason}
            ),
            "Record a decision",
            "note",
        ),
        Tool(
            "ask_requester",
            "Sends questions to whoever mailed the specification, in that thread. A sprint that has not begun (or the "
            "one that you name) waits in NEEDS_INPUT until the reply. Refused while a run of it is under way, while "
            "earlier questions are open, where no mail brought the specification, and after ten times in a day.",
            Questions,
            lambda desk, asked: desk.ask(
                str(asked.spec_id), asked.model_dump(mode="json", exclude={"spec_id"}, exclude_none=True)
            ),
            "Ask the requester",
            "ask",
        ),
    )
}
