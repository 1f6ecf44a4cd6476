"""Prices: the list, what is laid over it, and what a call comes to."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from action.money import Usage, cost_of, load_prices
from action.money.usage import read_usage
from controlplane.errors import UsageError

API_USAGE = {
    "input_tokens": 1_000_000,
    "cache_creation_input_tokens": 300_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 200_000, "ephemeral_1h_input_tokens": 100_000},
    "cache_read_input_tokens": 1_000_000,
    "output_tokens": 100_000,
    "server_tool_use": {"web_search_requests": 2},
}


def test_each_kind_of_token_has_its_price() -> None:
    # Opus 5.5: 4 + 0.2 * 5 + 0.1 * 8 + 0.2 + 0.1 * 20, and two searches.
    assert cost_of("claude-opus-5-5", read_usage(API_USAGE)) == Decimal("8.02")


@pytest.mark.parametrize("name", ["claude-haiku-4-5-20251001", "claude-haiku-4-5[1m]", "claude-haiku-4-5"])
def test_dated_and_long_context_names_are_the_same_model(name: str) -> None:
    assert cost_of(name, Usage(output_tokens=1_000_000)) == Decimal(5)


def test_unknown_model_costs_as_much_as_the_dearest() -> None:
    dearest = max(price.output for price in load_prices().models.values())
    assert cost_of("somebody-elses-9", Usage(output_tokens=1_000_000)) == dearest
    assert not load_prices().knows("somebody-elses-9")


def test_long_prompt_has_its_own_price_where_the_list_says_so() -> None:
    short, long = Usage(input_tokens=100_000), Usage(input_tokens=100_001)
    assert cost_of("claude-haiku-5-5", short) == Decimal("0.01")
    assert cost_of("claude-haiku-5-5", long) > Decimal("0.05")


def test_one_token_is_never_free() -> None:
    assert cost_of("claude-haiku-5-5", Usage(cache_read_tokens=1)) == Decimal("0.000001")


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-5-5", "nobody-knows-1"])
@pytest.mark.parametrize("letter", ["請計算所有的字", "すべて数えて", "모두 세어 주세요"])
def test_most_that_a_call_may_cost_holds_for_a_script_with_a_token_for_each_character(model: str, letter: str) -> None:
    letter = letter.replace(" ", "") * 20_000
    dear = Usage(cache_write_1h_tokens=len(letter), output_tokens=500, us_only=True)
    assert load_prices().most(model, len(letter.encode()), 500) == cost_of(model, dear)


def test_own_list_is_laid_over_the_shipped_one(tmp_path: Path) -> None:
    price = dict.fromkeys(("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"), "1")
    text = json.dumps({"as_of": "2027-01-01", "models": {"ours-1": price}})
    (tmp_path / "prices.json").write_text(text)
    for given in (text, "prices.json"):
        table = load_prices(given, tmp_path)
        assert cost_of("ours-1", Usage(output_tokens=1_000_000), table) == 1
        assert table.as_of == "2027-01-01"
        assert table.knows("claude-opus-5-5")


@pytest.mark.parametrize("given", ["nothing.json", "{", '{"models": {}}', '{"as_of":"x","models":{"a":{"input":-1}}}'])
def test_unreadable_list_is_refused_and_never_a_price_of_nothing(given: str) -> None:
    with pytest.raises(UsageError, match="price-table"):
        load_prices(given)


@pytest.mark.parametrize("nonsense", [{}, {"input_tokens": -5, "output_tokens": "many", "cache_creation": 3}])
def test_numbers_that_cannot_be_read_count_as_none(nonsense: dict[str, object]) -> None:
    assert read_usage(nonsense) == Usage()
