"""Whether a call can be paid for, told before it is made: what it may cost at most is kept back while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from action.money import PriceTable

# With less than this an agent cannot even say what it did.
LEAST_OUTPUT_TOKENS = 1_000
# The API asks for at least so much thinking, and for room beyond it.
LEAST_THINKING_TOKENS = 1_024
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Allowance:
    """`document` is the request as it may be made, `tokens` how long its answer may be, `most_usd` what that costs."""

    document: dict[str, Any]
    tokens: int
    most_usd: Decimal


def allow(document: dict[str, Any], size: int, left_usd: Decimal | None, table: PriceTable) -> Allowance | None:
    """Shorten the answer to what the money left pays for; None when that is too little to be of use."""
    model, fast = str(document.get("model", "")), document.get("speed") == "fast"
    _, output = table.dearest(model, fast=fast)
    reading = table.most(model, size, 0, fast=fast)
    wanted = document.get("max_tokens")
    tokens = wanted if isinstance(wanted, int) and wanted >= 0 else 0
    if left_usd is None:
        return Allowance(document, tokens, reading + tokens * output / MILLION)
    affordable = math.floor((left_usd - reading) * MILLION / output) if output else tokens
    if affordable < min(tokens, LEAST_OUTPUT_TOKENS) or left_usd <= 0:
        return None
    shorter = min(tokens, affordable)
    return Allowance(_shortened(document, shorter), shorter, reading + shorter * output / MILLION)


def _shortened(document: dict[str, Any], tokens: int) -> dict[str, Any]:
    if tokens == document.get("max_tokens"):
        return document
    changed = {**document, "max_tokens": tokens}
    thinking = document.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(budget, int) and budget >= tokens:
        half = tokens // 2
        enough = half >= LEAST_THINKING_TOKENS
        changed["thinking"] = {"type": "enabled", "budget_tokens": half} if enough else {"type": "disabled"}
    return changed
