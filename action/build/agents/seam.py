"""What an agent is to the loop: it gets a task in a folder, and says how its attempt ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from controlplane.noun import Noun

Ending = Literal["done", "failed", "timed-out", "stopped", "paused", "needs-input", "out-of-money", "cancelled"]


class Attempt(Noun):
    """How one attempt ended. Whether the work is good is for the judge to say, never for the agent.

    `is_in_place` is true of an agent that knows what the branch must hold, once it holds that: then no difference is
    an answer, too. `resume_at` (ISO 8601) belongs to `paused`, and is our guess without `resume_is_told`; `error` is a
    code where trying again in this run is of no use; `details` is kept with the execution, `notes` are lines for the
    report. `summary` is what the agent says it did, for the commit.
    """

    ending: Ending
    reason: str = ""
    exit_code: int | None = None
    model: str = ""
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    isolation: str = ""
    is_in_place: bool = False
    resume_at: str = ""
    resume_is_told: bool = True
    session: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()
    summary: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """`text` is the whole assignment in Markdown, `feedback` what failed last time (empty at first).

    `repository` is the folder to work in; `scratch` belongs to the agent alone; `log` receives its output. `watch` is
    asked every moment whether the work has to stop: `cancelled`, `out-of-money`, or nothing.
    """

    text: str
    feedback: str
    iteration: int
    repository: Path
    scratch: Path
    log: Path
    timeout_seconds: float
    watch: Callable[[], str] = str


class Agent(Protocol):
    """`repeats` is false for an agent that would do the very same again."""

    name: str
    repeats: bool

    def work(self, task: Task) -> Attempt: ...
