"""What a planning leaves for the pages to come: the model, the prompt's hash, tokens, money, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from action.journal import execution_id, now
from action.money import Ledger
from action.plan.nouns import Planned, Unplanned
from action.plan.prompt import Prompt
from action.plan.troubles import LimitReached
from controlplane.errors import AicdError

if TYPE_CHECKING:
    from action.context import Context
    from action.run import Run


@dataclass(frozen=True)
class Planning:
    """One planning, told as an agent's execution, whatever became of it. `model` is the one that was asked."""

    context: Context
    started: Run
    prompt: Prompt
    model: str
    ledger: Ledger
    began_at: str

    def record(self, outcome: Planned | Unplanned, recalled: int) -> None:
        """`recalled` of its answers had been paid for by an earlier planning."""
        self._tell(
            outcome.model,
            "planned" if isinstance(outcome, Planned) else "asked",
            {
                "confidence": outcome.confidence,
                "calls": outcome.calls,
                "recalled": recalled,
                "questions": len(outcome.questions),
            },
        )

    def record_failure(self, error: AicdError) -> None:
        """No plan came: refused, broken twice, too dear, a limit, or the API is away."""
        result = "paused" if isinstance(error, LimitReached) else "failed"
        reason = self.context.console.redact(error.message)
        self._tell(self.model, result, {"reason": reason, "error": error.code})

    def _tell(self, model: str, result: str, details: dict[str, Any]) -> None:
        """A story that cannot be told never stops the work."""
        entries = self.ledger.entries("planner")
        execution = {
            "id": execution_id(self.started.run_id, self.started.ci_attempt, "planning"),
            "iteration": 1,
            "agent": "planner",
            "model": model,
            "started_at": self.began_at,
            "finished_at": now(),
            "result": result,
            "cost_usd": float(self.ledger.spent("planner")),
            "input_tokens": sum(one.input_tokens + one.cache_read_tokens + one.cache_write_tokens for one in entries),
            "output_tokens": sum(one.output_tokens for one in entries),
            "metadata": {"prompt_sha256": self.prompt.sha256, "prompt_origin": self.prompt.origin, **details},
        }
        self.context.folder.append("executions.jsonl", execution)
        if self.context.store is None or not self.started.controlled:
            return
        try:
            self.context.store.record_execution(self.started.run_id, execution)
        except AicdError as error:
            self.context.console.warning(f"The control plane did not take an execution: {error}")
