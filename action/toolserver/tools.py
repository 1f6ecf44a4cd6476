"""The table of tools: name, what the agent is told, what it may hand over, how long and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from action.toolserver.desk import Answer, Decision, Line, Question, ToolDesk

SERVER_NAME = "aicd-controlplane"


class _Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Nothing(_Arguments):
    """No arguments."""


class Progress(_Arguments):
    message: Line
    percent: Annotated[int | None, Field(ge=0, le=100)] = None


class Questions(_Arguments):
    questions: Annotated[tuple[Question, ...], Field(min_length=1, max_length=5)]


class Search(_Arguments):
    query: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=20)] = 5


class DecisionArguments(Decision):
    """The same words as the noun."""


@dataclass(frozen=True)
class Tool:
    """`seconds` is how long a caller should wait for the answer, `most_calls` how often it may be asked in a run."""

    name: str
    description: str
    arguments: type[BaseModel]
    answer: Callable[[ToolDesk, Any], Answer]
    seconds: float = 30
    most_calls: int = 200
    read_only: bool = True

    def describe(self) -> dict[str, Any]:
        """As MCP's tools/list has it."""
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": self.arguments.model_json_schema(),
            "annotations": {"readOnlyHint": self.read_only, "openWorldHint": not self.read_only},
            "seconds": self.seconds,
        }


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "get_spec",
            "The specification of this run as we read it: title, repository, runtime, test commands, and the letter.",
            Nothing,
            lambda desk, _: desk.get_spec(),
        ),
        Tool(
            "get_plan",
            "This run's sprint: goals, user stories with the ids of their acceptance lines (name them in your tests), "
            "and the Definition of Done it is judged by.",
            Nothing,
            lambda desk, _: desk.get_plan(),
        ),
        Tool(
            "report_progress",
            "Tell the people who wait what you are doing now, in one sentence. At most once a second is passed on.",
            Progress,
            lambda desk, given: desk.report_progress(given.message, given.percent),
            read_only=False,
        ),
        Tool(
            "ask_requester",
            "Ask the person who wrote the specification. Only for what you cannot find out or decide yourself: a "
            "blocking question ends this run until the answer comes, which may take days.",
            Questions,
            lambda desk, given: desk.ask_requester(given.questions),
            most_calls=3,
            read_only=False,
        ),
        Tool(
            "check_dod",
            "Measure the work as it lies in the folder now, exactly as it will be judged: clean checkout, tests, "
            "coverage, lint, integrity, then the Definition of Done. Takes a while and may be asked only a few times: "
            "call it when you believe to be done, and mend what it says is failing.",
            Nothing,
            lambda desk, _: desk.check_dod(),
            seconds=1_800,
            most_calls=30,
        ),
        Tool(
            "search_runs",
            "Earlier runs of this specification: their result, what failed and why. An empty query lists the newest.",
            Search,
            lambda desk, given: desk.search_runs(given.query, given.limit),
        ),
        Tool(
            "record_decision",
            "Note a choice that the reviewer should know of, with its reason and what else you considered.",
            DecisionArguments,
            lambda desk, given: desk.record_decision(given),
            most_calls=50,
            read_only=False,
        ),
    )
}
