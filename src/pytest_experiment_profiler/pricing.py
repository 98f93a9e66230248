"""What an answer cost, from genai-prices; None where the price is not known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

FREE_CLIENTS = frozenset({"mock", "replay"})
"""Clients whose answers cost nothing."""

_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def count_tokens(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Count an answer's tokens, in and out; what is no number counts nothing."""
    counts = {name: count for name, count in usage.items() if isinstance(count, int)}
    return sum(counts.get(name, 0) for name in _INPUT), counts.get("output_tokens", 0)


def price_usd(
    model: str | None, usage: Mapping[str, Any], at: datetime | None = None
) -> Decimal | None:
    """Price one answer of Anthropic's API by the model that answered; `at`: time of the request.

    The library knows some ids by prefix only, so an id that is longer than the one it found is
    taken for unknown, unless a date or "latest" follows.
    """
    if not model or not usage:
        return None
    from genai_prices import extract_usage  # noqa: PLC0415 -- 0.4 s, needed with real answers only

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


def prices_as_of() -> str:
    """Name the price table in use."""
    import genai_prices  # noqa: PLC0415 -- see price_usd

    return f"genai-prices {genai_prices.__version__}"
