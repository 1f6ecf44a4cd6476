"""Asking while the work goes on whether it may: the budget of everybody concerned, and whether the run still stands."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from action.build.agents.seam import Agent, Attempt, Task
from action.money import Ledger, Usage
from controlplane.errors import AicdError

BETWEEN_SECONDS = 20.0


class BudgetRecords(Protocol):
    """The part of controlplane's RunnerStore that knows what is left."""

    def read_budget(self, run_id: str) -> Mapping[str, Any]: ...


class BudgetWatch:
    """A context manager: inside it the control plane is asked now and then, in a thread of its own. At its end the
    last attempt's cost is told; where it cannot be, whoever closes the run has to insist (`Ledger.sync`)."""

    def __init__(
        self, records: BudgetRecords | None, run_id: str, ledger: Ledger, between_seconds: float = BETWEEN_SECONDS
    ) -> None:
        self._records = records
        self._run_id = run_id
        self._ledger = ledger
        self._between = between_seconds
        self._ends = threading.Event()
        self._cancelled = False
        self._thread = threading.Thread(target=self._work, name="budget-watch", daemon=True)

    def ask(self) -> str:
        """Before an attempt: `cancelled`, `out-of-money`, or nothing. Raises OutsideError where it cannot be known:
        nothing is spent then."""
        self._ledger.sync()
        self._ledger.learn_earlier(self._read().get("spent_usd"))
        return "cancelled" if self._cancelled else "out-of-money" if self._ledger.is_spent() else ""

    def watch(self) -> str:
        """While one runs; at once. A budget that ends is told by the proxy, which refuses the next call."""
        return "cancelled" if self._cancelled else ""

    def __enter__(self) -> Self:
        if self._records is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._ledger.offer()

    def _work(self) -> None:
        while not self._ends.wait(self._between):
            try:
                self._read()
            except AicdError:
                continue  # asked again soon, and before the next attempt it must answer

    def _read(self) -> Mapping[str, Any]:
        if self._records is None:
            return {}
        budget = self._records.read_budget(self._run_id)
        self._cancelled = bool(budget.get("spec_cancelled")) or budget.get("run_open") is False
        self._ledger.set_left(budget.get("left_usd"))
        return budget


class Billed:
    """An agent that says itself what it cost: its word goes into the ledger, so that the budget holds for it, too."""

    def __init__(self, agent: Agent, ledger: Ledger) -> None:
        self.name, self.repeats = agent.name, agent.repeats
        self._agent = agent
        self._ledger = ledger

    def work(self, task: Task) -> Attempt:
        """Tokens without a cost are counted by our list."""
        attempt = self._agent.work(task)
        said = Usage(input_tokens=int(attempt.input_tokens or 0), output_tokens=int(attempt.output_tokens or 0))
        if not attempt.cost_usd and (attempt.cost_usd is not None or said == Usage()):
            return attempt
        # Whoever worked again was paid again: no attempt's cost is ever taken for that of another one.
        entry = self._ledger.add("builder", attempt.model or self.name, said, cost_usd=attempt.cost_usd)
        return attempt.model_copy(update={"cost_usd": float(entry.cost_usd)})
