"""Money: what a call to a model costs, and what of the run's budget is left."""

from action.money.ledger import Ledger
from action.money.ledgerfile import Entry
from action.money.prices import PriceTable, cost_of, load_prices
from action.money.usage import Usage

__all__ = ["Entry", "Ledger", "PriceTable", "Usage", "cost_of", "load_prices"]
