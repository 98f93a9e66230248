"""A word and the words of a text go in; those that may stand for it come out."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.vocabulary import ENDINGS, NICKNAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Likeness = Callable[[str, Sequence[str]], Iterator[str]]

_SHORTEST, _LONG = 5, 9
_STEM = 4
_LAST = "\U0010ffff"


def find_same(_word: str, _vocabulary: Sequence[str]) -> Iterator[str]:
    """Find no other word than the same."""
    return iter(())


def find_slips(word: str, vocabulary: Sequence[str]) -> Iterator[str]:
    """Find the words that differ by one letter at most, or by two if they are long."""
    if len(word) < _SHORTEST:
        return
    for other in _find_beginning(word[0], vocabulary):
        shorter = min(len(word), len(other))
        if shorter >= _SHORTEST and _is_within(word, other, 1 if shorter < _LONG else 2):
            yield other


def find_inflections(word: str, vocabulary: Sequence[str]) -> Iterator[str]:
    """Find the words that differ by a usual ending at most."""
    if len(word) >= _STEM:
        for other in _find_beginning(word[:_STEM], vocabulary):
            if any(
                word[end:] in ENDINGS and other[end:] in ENDINGS
                for end in range(_common(word, other), _STEM - 1, -1)
            ):
                yield other


def _find_beginning(start: str, vocabulary: Sequence[str]) -> Sequence[str]:
    """Find the words that begin so, which stand in a row."""
    first = bisect_left(vocabulary, start)
    return vocabulary[first : bisect_left(vocabulary, f"{start}{_LAST}", first)]


def is_short_form(one: str, other: str) -> bool:
    """Tell whether one of two first names may be short for the other."""
    full, other_full = (NICKNAMES.get(name, name).removesuffix("s") for name in (one, other))
    return full == other_full or one.startswith(other) or other.startswith(one)


def _common(one: str, other: str) -> int:
    """Count the letters that two words begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _is_within(one: str, other: str, most: int) -> bool:
    """Tell whether the edit distance, a swap counting once, is at most so much."""
    if abs(len(one) - len(other)) > most:
        return False
    start = _common(one, other)
    one, other = one[start:], other[start:]
    if not one or not other or not most:
        return len(one) + len(other) <= most
    return (
        _is_within(one[1:], other[1:], most - 1)
        or _is_within(one[1:], other, most - 1)
        or _is_within(one, other[1:], most - 1)
        or (one[:2] == other[1::-1] and _is_within(one[2:], other[2:], most - 1))
    )
