"""Two words go in; whether one may stand for the other comes out."""

from __future__ import annotations

from pytest_experiment_profiler.metrics.vocabulary import ENDINGS, NICKNAMES

_SHORTEST, _LONG = 5, 9
_STEM = 4


def is_same(one: str, other: str) -> bool:
    """Tell whether two words are the same."""
    return one == other


def is_slip(one: str, other: str) -> bool:
    """Tell whether two words differ by one letter at most, or by two if they are long."""
    shorter = min(len(one), len(other))
    if one == other or shorter < _SHORTEST or one[0] != other[0]:
        return one == other
    return _is_within(one, other, 1 if shorter < _LONG else 2)


def is_inflection(one: str, other: str) -> bool:
    """Tell whether two words differ by a usual ending at most."""
    if one == other or one[:_STEM] != other[:_STEM]:
        return one == other
    return any(
        one[end:] in ENDINGS and other[end:] in ENDINGS
        for end in range(_common(one, other), _STEM - 1, -1)
    )


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
