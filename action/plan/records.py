"""What a planning leaves for the pages to come: the model, the prompt's hash, tokens, money, confidence."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from action.journal import now
from action.plan.nouns import Planned, Unplanned
from action.plan.prompt import Prompt
from controlplane.errors import AicdError

if TYPE_CHECKING:
    from action.context import Context
    from action.run import Run


def record_call(context: Context, started: Run, outcome: Planned | Unplanned, prompt: Prompt, cost_usd: float) -> None:
    """Tell the control plane; a story that cannot be told never stops the work."""
    execution = {
        "id": str(uuid.uuid5(uuid.UUID(started.run_id), "execution/planning")),
        "iteration": 1,
        "agent": "planner",
        "model": outcome.model,
        "finished_at": now(),
        "result": "planned" if isinstance(outcome, Planned) else "asked",
        "cost_usd": cost_usd,
        "input_tokens": outcome.usage.prompt_tokens,
        "output_tokens": outcome.usage.output_tokens,
        "metadata": {
            "prompt_sha256": outcome.prompt_sha256,
            "prompt_origin": prompt.origin,
            "confidence": outcome.confidence,
            "calls": outcome.calls,
            "questions": len(outcome.questions),
        },
    }
    context.folder.append("executions.jsonl", execution)
    if context.store is None or not started.controlled:
        return
    try:
        context.store.record_execution(started.run_id, execution)
    except AicdError as error:
        context.console.warning(f"The control plane did not take an execution: {error}")
