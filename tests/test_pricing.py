"""Prices of answers: known, unknown, and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import extract_usage
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_experiment_profiler.pricing import count_tokens, price_usd, prices_as_of

USAGE = {"input_tokens": 1_000_000, "output_tokens": 100_000}


def test_an_answer_costs_its_tokens():
    assert price_usd("claude-haiku-4-5", USAGE) == Decimal("1.5")


def test_a_dated_model_costs_the_same():
    assert price_usd("claude-haiku-4-5-20251001", USAGE) == price_usd("claude-haiku-4-5", USAGE)


def test_cached_tokens_cost_less():
    cached = {"input_tokens": 0, "cache_read_input_tokens": 1_000_000, "output_tokens": 0}
    price = price_usd("claude-haiku-4-5", cached)
    assert price is not None
    assert 0 < price < Decimal("0.5")


def test_no_tokens_cost_nothing():
    assert price_usd("claude-haiku-4-5", {"input_tokens": 0, "output_tokens": 0}) == 0


@pytest.mark.parametrize(
    "model", ["claude-haiku-4-5-turbo", "claude-haiku-99", "smollm2-135m", "", None, "gpt-4o"]
)
def test_an_unknown_model_has_no_price(model):
    assert price_usd(model, USAGE) is None


@pytest.mark.parametrize(
    "usage",
    [{}, {"input_tokens": None}, {"input_tokens": "12", "output_tokens": 1}, {"tokens": 12}],
)
def test_usage_that_says_nothing_has_no_price(usage):
    assert price_usd("claude-haiku-4-5", usage) is None


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cache_read_input_tokens"])
def test_less_than_nothing_has_no_price_and_takes_nothing_away(name):
    usage = USAGE | {"cache_read_input_tokens": 3, name: -7}
    assert price_usd("claude-haiku-4-5", usage) is None
    assert count_tokens(usage) == count_tokens(usage | {name: 0})


def test_the_table_in_use_is_named():
    assert prices_as_of().startswith("genai-prices 0.")


@settings(deadline=None)
@given(
    model=st.sampled_from(["claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-4-5-20250929"]),
    sent=st.integers(0, 2_000_000),
    received=st.integers(0, 200_000),
)
def test_the_quick_way_to_a_price_is_the_librarys(model, sent, received):
    usage = {"input_tokens": sent, "output_tokens": received}
    at = datetime(2026, 11, 23, tzinfo=UTC)
    found = extract_usage({"model": model, "usage": usage}, provider_id="anthropic")
    expected = found.calc_price(genai_request_timestamp=at).total_price
    assert price_usd(model, usage | {"service_tier": "standard"}, at) == expected
