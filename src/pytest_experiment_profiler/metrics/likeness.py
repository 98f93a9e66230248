"""A word and another go in; whether the other may stand for it comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.metrics.vocabulary import ENDINGS, NICKNAMES, OPPOSED

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORTEST, _LONG = 5, 9
_STEM = 4


class Likeness(NamedTuple):
    """How two words of some length are alike: they begin with as many letters, and it holds."""

    shortest: int
    start: int
    holds: Callable[[str, str], bool]


def _is_slip(word: str, other: str) -> bool:
    """Tell whether two words differ by one letter at most, or by two if they are long."""
    shorter = min(len(word), len(other))
    if shorter < _SHORTEST or not _is_within(word, other, 1 if shorter < _LONG else 2):
        return False
    return not _are_opposed(word, other)


def _are_opposed(word: str, other: str) -> bool:
    """Tell whether two words are a pair such as "hypothermia" and "hyperthermia"."""
    return any(
        (word.startswith(one) and other == another + word.removeprefix(one))
        or (word.endswith(one) and other == word.removesuffix(one) + another)
        for one, another in OPPOSED
    )


def _is_inflected(word: str, other: str) -> bool:
    """Tell whether two words differ by a usual ending at most."""
    for end in range(_common(word, other), _STEM - 1, -1):
        if word[end:] in ENDINGS and other[end:] in ENDINGS:
            return True
    return False


SLIPS = Likeness(_SHORTEST, 1, _is_slip)
INFLECTIONS = Likeness(_STEM, _STEM, _is_inflected)


def is_short_form(one: str, other: str) -> bool:
    """Tell whether one of two first names may be short for the other."""
    full, other_full = (NICKNAMES.get(name, name).removesuffix("s") for name in (one, other))
    return full == other_full or one.startswith(other) or other.startswith(one)


def _common(one: str, other: str) -> int:
    """Count the letters that two words begin with."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


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
