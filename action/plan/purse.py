"""What planning may cost, and what it cost: the planner's side of the run's ledger."""

from __future__ import annotations

from decimal import Decimal

from action.money import Ledger, Usage
from action.plan.claude import MOST_OUTPUT_TOKENS
from controlplane.errors import CallerError


class RunPurse:
    """`model` is the one that is asked; an answer may name its version."""

    def __init__(self, ledger: Ledger, model: str) -> None:
        self._ledger = ledger
        self._model = model

    def allow(self, size: int) -> None:
        """What a question may cost at most must be left."""
        most, left = self._most(size), self._ledger.left()
        if left is not None and left < most:
            raise CallerError(
                f"Planning may cost up to US$ {most:.2f}, and US$ {max(left, Decimal(0)):.2f} of the budget is left.",
                "Raise the budget (`max-budget-usd`, or the project's policy), or send a specification with its "
                "sprints.",
                "budget-exceeded",
            )

    def charge(self, call: str, model: str, usage: Usage) -> None:
        self._ledger.add("planner", model, usage, call)

    def write_off(self, size: int) -> None:
        """The most that it may have cost, so that the budget holds whatever became of it."""
        self._ledger.write_off("planner", self._model, size, MOST_OUTPUT_TOKENS)

    def _most(self, size: int) -> Decimal:
        return self._ledger.table.most(self._model, size, MOST_OUTPUT_TOKENS)
