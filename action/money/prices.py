"""What a model costs. The list is dated and lies beside this file; the input `price-table` lays another one over it."""

from __future__ import annotations

import json
import re
from decimal import ROUND_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from action.money.usage import Usage, most_tokens
from controlplane.errors import UsageError
from controlplane.noun import Noun

SHIPPED = Path(__file__).with_name("prices.json")
MILLION = Decimal(1_000_000)
CENT_FRACTION = Decimal("0.000001")
# An alias, a date, or a wish for a longer context does not change what a model costs.
SUFFIX = re.compile(r"(-\d{8}|\[1m\]|@\d{8}|-latest)+$")


class Price(Noun):
    """US dollars per million tokens; beyond `above_tokens` of prompt the whole call costs `above`."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_write_5m: Decimal = Field(ge=0)
    cache_write_1h: Decimal = Field(ge=0)
    cache_read: Decimal = Field(ge=0)
    above_tokens: int | None = None
    above: Price | None = None


class PriceTable(Noun):
    """`as_of` is the day on which the list held; `us_only_factor` and `fast_factor` multiply a call's price."""

    as_of: str
    source: str = ""
    web_search: Decimal = Decimal("0.01")
    us_only_factor: Decimal = Decimal("1.1")
    fast_factor: Decimal = Decimal(6)
    models: dict[str, Price] = Field(min_length=1)

    def knows(self, model: str) -> bool:
        return SUFFIX.sub("", model) in self.models or model in self.models

    def price(self, model: str) -> Price:
        """The model's price; that of the dearest one where the model is unknown, so that no budget fails open."""
        for name in (model, SUFFIX.sub("", model)):
            if name in self.models:
                return self.models[name]
        return max(self.models.values(), key=lambda price: (price.output, price.input))

    def most(self, model: str, size: int, output_tokens: int, *, fast: bool = False) -> Decimal:
        """What a call may cost at most that sends `size` bytes: read where it is dearest, and written to the cache."""
        reading, writing = self.dearest(model, fast=fast)
        return (most_tokens(size) * reading + output_tokens * writing) / MILLION

    def dearest(self, model: str, *, fast: bool = False) -> tuple[Decimal, Decimal]:
        """(a million tokens of a prompt, a million of an answer), wherever and however they are computed."""
        price = self.price(model)
        prices = (price, price.above) if price.above else (price,)
        factor = self.us_only_factor * (self.fast_factor if fast else 1)
        prompt = max(cost for one in prices for cost in (one.input, one.cache_write_5m, one.cache_write_1h))
        return factor * prompt, factor * max(one.output for one in prices)

    def cost(self, model: str, usage: Usage) -> Decimal:
        """US dollars, rounded up at the sixth place."""
        price = self.price(model)
        if price.above is not None and price.above_tokens is not None and usage.prompt_tokens > price.above_tokens:
            price = price.above
        tokens = (
            usage.input_tokens * price.input
            + usage.cache_read_tokens * price.cache_read
            + usage.cache_write_tokens * price.cache_write_5m
            + usage.cache_write_1h_tokens * price.cache_write_1h
            + usage.output_tokens * price.output
        )
        factor = (self.us_only_factor if usage.us_only else 1) * (self.fast_factor if usage.fast else 1)
        total = tokens / MILLION * factor + usage.web_searches * self.web_search
        return total.quantize(CENT_FRACTION, rounding=ROUND_UP)


def cost_of(model: str, usage: Usage, table: PriceTable | None = None) -> Decimal:
    """What a call cost, in US dollars, by the shipped list or by `table`."""
    return (table or shipped_prices()).cost(model, usage)


@cache
def shipped_prices() -> PriceTable:
    return PriceTable.model_validate(json.loads(SHIPPED.read_text(encoding="utf-8")))


def load_prices(given: str = "", root: Path = Path()) -> PriceTable:
    """The shipped list, with the models of `given` (JSON, or a path below `root`) laid over it.

    Raises UsageError for anything else: a list that cannot be read must not become a price of nothing.
    """
    if not given.strip():
        return shipped_prices()
    shipped = shipped_prices()
    try:
        text = given if given.lstrip().startswith("{") else (root / given.strip()).read_text(encoding="utf-8")
        told: dict[str, Any] = json.loads(text)
        told["models"] = {name: Price.model_validate(price) for name, price in told["models"].items()}
        own = PriceTable.model_validate(told)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise UsageError(
            f"input 'price-table' cannot be used: {_why(error)}.",
            "Write it as action/money/prices.json is written: as_of, and a price for each of `models`.",
            "bad-price-table",
        ) from error
    return own.model_copy(update={"models": {**shipped.models, **own.models}})


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
