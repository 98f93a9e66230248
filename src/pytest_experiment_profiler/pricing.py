"""What an answer cost, from genai-prices; None where the price is not known."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal

FREE_CLIENTS = frozenset({"mock", "replay"})
"""Clients whose answers cost nothing."""

_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def count_tokens(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Count an answer's tokens, in and out; what is no number of tokens counts nothing."""
    counts = {name: count for name, count in usage.items() if type(count) is int and count > 0}
    return sum(counts.get(name, 0) for name in _INPUT), counts.get("output_tokens", 0)


def price_usd(
    model: str | None, usage: Mapping[str, Any], at: datetime | None = None
) -> Decimal | None:
    """Price one answer of Anthropic's API by the model that answered; `at`: time of the request."""
    if not isinstance(model, str) or not usage:
        return None
    day = (at or datetime.now(UTC)).date()
    prices = _find_flat_prices(model, day) if _is_plain(usage) else None
    if prices is None:
        return _price_in_full(model, usage, at)
    sent, received = count_tokens(usage)
    return (sent * prices[0] + received * prices[1]) / 1_000_000


def _is_plain(usage: Mapping[str, Any]) -> bool:
    """Tell whether an answer used nothing but tokens in and out."""
    counts = [usage.get("input_tokens"), usage.get("output_tokens")]
    if not all(type(count) is int and count >= 0 for count in counts):
        return False
    return all(
        name in _PLAIN or not (any(value.values()) if isinstance(value, dict) else value)
        for name, value in usage.items()
    )


_PLAIN = frozenset({"input_tokens", "output_tokens", "service_tier", "inference_geo"})


@cache
def _find_flat_prices(model: str, day: date) -> tuple[Decimal, Decimal] | None:
    """Find what a million tokens cost, in and out, where that depends on nothing else."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    costs = []
    for tokens in (1_000, 1_000_000):
        for name in ("input_tokens", "output_tokens"):
            usage = {"input_tokens": 0, "output_tokens": 0} | {name: tokens}
            price = _price_in_full(model, usage, noon)
            if price is None:
                return None
            costs.append(price * 1_000_000 / tokens)
    return (costs[0], costs[1]) if costs[:2] == costs[2:] else None


def _price_in_full(model: str, usage: Mapping[str, Any], at: datetime | None) -> Decimal | None:
    """Ask the library.

    It knows some ids by prefix only, so an id that is longer than the one it found is taken for
    unknown, unless a date or "latest" follows.
    """
    from genai_prices import extract_usage  # noqa: PLC0415 -- 0.4 s, needed with real answers only

    if _is_below_zero(usage):
        return None
    try:
        found = extract_usage({"model": model, "usage": dict(usage)}, provider_id="anthropic")
        known = found.model.id if found.model else ""
        if not re.fullmatch(re.escape(known) + r"(-latest|[-@]\d{8})?", model):
            return None
        context = {"speed": usage["speed"]} if usage.get("speed") else {}
        price = found.calc_price(genai_request_timestamp=at, price_context=context)
    except (LookupError, ValueError, AttributeError, TypeError):
        return None
    return price.total_price


def _is_below_zero(usage: Mapping[str, Any]) -> bool:
    """Tell whether an answer counts less than nothing, which would take from what others cost."""
    return any(isinstance(count, int | float) and count < 0 for count in usage.values())


def prices_as_of() -> str:
    """Name the price table in use."""
    import genai_prices  # noqa: PLC0415 -- see price_usd

    return f"genai-prices {genai_prices.__version__}"
