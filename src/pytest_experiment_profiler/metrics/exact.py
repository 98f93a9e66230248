"""Facts and an answer go in; where each fact is written so, in any case, comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_experiment_profiler.experiment import Fact, FactMatch
from pytest_experiment_profiler.metrics.patterns import search

if TYPE_CHECKING:
    from collections.abc import Iterable

Span = tuple[int, int]
Find = Callable[[Sequence[str], str], "Span | None"]
"""Find one of some wordings in a text."""


def match_exactly(facts: Iterable[Fact], text: str) -> tuple[FactMatch, ...]:
    """Look for several facts in one answer as they are written."""
    return tuple(match_form(fact, text, find_exact, find_exact) for fact in facts)


def find_exact(wordings: Sequence[str], text: str) -> Span | None:
    """Find the first of some wordings that stands in a text."""
    spans = (_find(wording, text) for wording in wordings)
    return next((span for span in spans if span), None)


def match_form(fact: Fact, text: str, find: Find, find_whole: Find) -> FactMatch:
    """Look for one fact, whatever form it has; what must not be said counts as a whole only."""
    if not text.strip():
        return FactMatch(fact=fact, found=False)
    form, wordings = fact.form, fact.wordings
    if form == "all_of":
        spans = [find((wording,), text) for wording in wordings]
    elif form == "regex":
        spans = [search(pattern, text) for pattern in wordings]
    else:
        spans = [(find_whole if form == "none_of" else find)(wordings, text)]
    places = [span for span in spans if span]
    if not places or len(places) < len(spans):
        return FactMatch(fact=fact, found=form == "none_of")
    return FactMatch(
        fact=fact,
        found=form != "none_of",
        matched=" … ".join([text[start:end] for start, end in places]),
        span=places[0],
    )


def _find(wording: str, text: str) -> Span | None:
    needle, folded = wording.casefold(), text.casefold()
    start = folded.find(needle) if needle.strip() else -1
    if start < 0:
        return None
    if len(folded) == len(text):
        return start, start + len(needle)
    origin = [place for place, char in enumerate(text) for _ in char.casefold()]
    return origin[start], origin[start + len(needle) - 1] + 1
