"""What stands behind the tools: one method per tool, answered in our process, where store and verify are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from pydantic import Field, StringConstraints

from controlplane.noun import Noun

Answer = Mapping[str, Any]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Question(Noun):
    """A question for the person who wrote the specification. Without the answer to a `blocking` one, work stops."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=1_000)]
    blocking: bool = True


class Decision(Noun):
    """A choice that the reviewer should know of."""

    title: Line
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
    alternatives: Annotated[tuple[Line, ...], Field(max_length=10)] = ()


class ToolDesk(Protocol):
    """Every answer is a JSON object. An AicdError becomes a tool error with its message and its fix; methods are called
    from several threads, and `check_dod` may take as long as its tool's `seconds`.
    """

    def get_spec(self) -> Answer: ...

    def get_plan(self) -> Answer: ...

    def report_progress(self, message: str, percent: int | None) -> Answer: ...

    def ask_requester(self, questions: Sequence[Question]) -> Answer: ...

    def check_dod(self) -> Answer: ...

    def search_runs(self, query: str, limit: int) -> Answer: ...

    def record_decision(self, decision: Decision) -> Answer: ...
