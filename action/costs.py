"""The run's costs as its folder knows them: the ledger to spend by, what is still to be told, and what it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from action.money import Ledger, load_prices
from action.money.ledgerfile import NAME, read_ledger
from controlplane.errors import AicdError

if TYPE_CHECKING:
    from action.context import Context
    from action.run import Run


def open_ledger(context: Context, started: Run) -> Ledger:
    """The run's ledger, with what verbs before this one spent already in it."""
    inputs = context.settings.agent
    root = context.settings.github.workspace / context.settings.judge.working_directory
    records = context.store if started.controlled else None
    file = context.folder.path / NAME
    return Ledger(started.run_id, inputs.max_budget_usd, records, file, load_prices(inputs.price_table, root))


def offer_costs(context: Context, started: Run) -> None:
    """Tell the control plane what it has not taken yet. What has been spent is no reason to lose what it was spent on:
    where it cannot be told, that is a warning."""
    try:
        open_ledger(context, started).sync()
    except AicdError as error:
        context.console.warning(str(error), title="costs")


def spent_usd(context: Context) -> float | None:
    """What the run came to by now, planning included; None where nobody said that anything cost something."""
    spent = read_ledger(context.folder.path / NAME).spent_usd
    return None if spent is None else round(float(spent), 6)
