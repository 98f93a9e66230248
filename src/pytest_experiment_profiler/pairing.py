"""Two runs of the same dialogues in, p-values and a verdict out.

All tests are two-sided and exact where that is quick, otherwise from seeded random patterns over
sorted differences: the order of dialogues never matters, and a comparison read twice is the same.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction
from itertools import product
from operator import mul
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Number: TypeAlias = "int | float | Fraction"
Sums: TypeAlias = tuple[float, ...]
Verdict: TypeAlias = Literal["better", "worse", "no evidence of a difference", "too small to tell"]

ALPHA = 0.05
MARGIN = 0.05
PATTERNS = 10_000
SEED = 1935
MOST_EXACT_CHANGES = 300
MOST_EXACT_BITS = 2**28
MOST_EXACT_PATTERNS = 2**12
FINEST_FRACTION = 10_000
SAME = 1e-9


def mcnemar(only_baseline: int, only_candidate: int) -> float:
    """Test flags that changed in either direction (McNemar 1947, exact)."""
    changed = only_baseline + only_candidate
    term = tail = 1
    for k in range(min(only_baseline, only_candidate)):
        term = term * (changed - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << changed))


def sign_flip(differences: Sequence[Number], clusters: Sequence[str | None] = ()) -> float:
    """Test paired differences: how many sign patterns sum at least as far (Fisher 1935).

    Differences of one cluster keep their signs together.
    """
    shifts = _shifts([(0,)] * len(differences), [(gap,) for gap in differences], clusters)
    steps = _integers([shift for (shift,) in shifts])
    if steps and all(abs(step) == 1 for step in steps):
        return mcnemar(steps.count(-1), steps.count(1))
    if steps and len(steps) <= MOST_EXACT_CHANGES and _bits(steps) <= MOST_EXACT_BITS:
        return _exact_sign_flip(steps)
    losses = math.fsum(-gap for (gap,) in shifts if gap < 0)
    gains = math.fsum(gap for (gap,) in shifts if gap > 0)
    return _swap((losses,), (gains,), shifts, lambda sums: sums[0])


def ratio_test(
    baseline: Sequence[tuple[Number, Number]],
    candidate: Sequence[tuple[Number, Number]],
    clusters: Sequence[str | None] = (),
) -> float:
    """Test two runs' ratios of sums, given each dialogue's numerator and denominator.

    The denominators decide: where each dialogue keeps its own, the numerators' signs are flipped.
    """
    if all(old[1] == new[1] for old, new in zip(baseline, candidate, strict=True)):
        gaps = [
            _exact(new[0]) - _exact(old[0]) for old, new in zip(baseline, candidate, strict=True)
        ]
        return sign_flip(gaps, clusters)
    return swap_test(baseline, candidate, lambda sums: sums[0] / sums[1], clusters)


def swap_test(
    baseline: Sequence[Sequence[Number]],
    candidate: Sequence[Sequence[Number]],
    value: Callable[[Sums], float],
    clusters: Sequence[str | None] = (),
) -> float:
    """Test any value of sums by exchanging the two runs' results of whole dialogues.

    A dialogue's result is what it adds to each of the sums that `value` is computed from.
    """
    before, after = _columns(baseline), _columns(candidate)
    return _swap(before, after, _shifts(baseline, candidate, clusters), value)


def _columns(results: Sequence[Sequence[Number]]) -> Sums:
    return tuple(math.fsum(column) for column in zip(*results, strict=True))


def _shifts(
    baseline: Sequence[Sequence[Number]],
    candidate: Sequence[Sequence[Number]],
    clusters: Sequence[str | None],
) -> list[tuple[Number, ...]]:
    """List, sorted, what each cluster or dialogue that changed adds to the sums."""
    shifts: dict[int | str, tuple[Number, ...]] = {}
    for position, (old, new) in enumerate(zip(baseline, candidate, strict=True)):
        if old == new:
            continue
        cluster = clusters[position] if clusters else None
        key = position if cluster is None else cluster
        shift = tuple(_exact(y) - _exact(x) for x, y in zip(old, new, strict=True))
        known = shifts.get(key)
        shifts[key] = tuple(x + y for x, y in zip(known, shift, strict=True)) if known else shift
    return sorted(shift for shift in shifts.values() if any(shift))


def _exact(number: Number) -> Number:
    """Recover the fraction that a float stands for, so that equal differences are equal."""
    if not isinstance(number, float) or not math.isfinite(number):
        return number
    fraction = Fraction(number).limit_denominator(FINEST_FRACTION)
    return fraction if abs(fraction - number) <= 1e-12 * abs(number) else number


def _integers(numbers: Sequence[Number]) -> list[int] | None:
    """Scale fractions to the smallest whole numbers; None where a float has no plain fraction."""
    fractions = [Fraction(x) for x in numbers if not isinstance(x, float)]
    if len(fractions) < len(numbers):
        return None
    scale = math.lcm(*(fraction.denominator for fraction in fractions))
    steps = [int(fraction * scale) for fraction in fractions]
    divisor = math.gcd(*steps) or 1
    return [step // divisor for step in steps]


def _bits(steps: Sequence[int]) -> int:
    return (len(steps) + 1) * (sum(map(abs, steps)) + 1)


def _exact_sign_flip(steps: Sequence[int]) -> float:
    """Count all patterns at once, one coefficient of an integer for each possible sum."""
    sizes = sorted(map(abs, steps))
    observed = abs(sum(steps))
    if not observed:
        return 1.0
    width = len(sizes) + 1
    farthest_down = (sum(sizes) - observed) // 2
    needed = width * (farthest_down + 1)
    tail = 1
    for size in sizes:
        tail += tail << (width * size)
        if tail.bit_length() > needed:
            tail &= (1 << needed) - 1
    # Modulo one less than the base adds up the digits, as casting out nines does.
    hits = tail % ((1 << width) - 1)
    return 2 * hits / (1 << len(sizes))


def _swap(
    before: Sums,
    after: Sums,
    shifts: Sequence[tuple[Number, ...]],
    value: Callable[[Sums], float],
) -> float:
    old, new = value(before), value(after)
    least = abs(new - old) - SAME * max(abs(old), abs(new))
    if least <= 0:
        return 1.0

    def is_hit(moved: Sums) -> bool:
        swapped_after = tuple(x - y for x, y in zip(after, moved, strict=True))
        swapped_before = tuple(x + y for x, y in zip(before, moved, strict=True))
        return abs(value(swapped_after) - value(swapped_before)) >= least

    groups = Counter(tuple(map(float, shift)) for shift in shifts)
    if math.prod(count + 1 for count in groups.values()) <= MOST_EXACT_PATTERNS:
        hits = sum(ways for moved, ways in _all_patterns(groups) if is_hit(moved))
        return hits / (1 << len(shifts))
    hits = sum(map(is_hit, _random_patterns(shifts)))
    return (hits + 1) / (PATTERNS + 1)


def _all_patterns(groups: Counter[Sums]) -> Iterator[tuple[Sums, int]]:
    """Give the sums of each exchange, and in how many ways equal shifts make it."""
    shifts = list(groups)
    for counts in product(*(range(count + 1) for count in groups.values())):
        ways = math.prod(map(math.comb, groups.values(), counts))
        yield tuple(sum(map(mul, counts, column)) for column in zip(*shifts, strict=True)), ways


def _random_patterns(shifts: Sequence[tuple[Number, ...]]) -> Iterator[Sums]:
    """Give the sums of random exchanges (Phipson & Smyth 2010), eight dialogues a look-up."""
    random_bytes = random.Random(SEED).randbytes  # noqa: S311 -- chance, not secrecy
    columns = [_tables(list(map(float, column))) for column in zip(*shifts, strict=True)]
    length = max(map(len, columns))
    for _ in range(PATTERNS):
        pattern = random_bytes(length)
        yield tuple(sum(map(list.__getitem__, tables, pattern)) for tables in columns)


def _tables(column: Sequence[float]) -> list[list[float]]:
    """Tabulate the sum of every subset of each eight numbers; nothing where none changed."""
    if not any(column):
        return []
    tables = []
    for start in range(0, len(column), 8):
        sums = [0.0]
        for number in [*column[start : start + 8], *[0.0] * 8][:8]:
            sums += [known + number for known in sums]
        tables.append(sums)
    return tables


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979), in the order given."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, position in enumerate(by_size):
        highest = max(highest, min(1.0, p_values[position] * (len(p_values) - rank)))
        adjusted[position] = highest
    return adjusted


def judge(
    difference: float | None,
    p_value: float | None,
    mde: float | None,
    *,
    margin: float = MARGIN,
    lower_is_better: bool = False,
) -> Verdict:
    """Put a difference into one of four words; `mde` None: no interval could be given."""
    if difference and p_value is not None and p_value <= ALPHA:
        return "better" if (difference < 0) == lower_is_better else "worse"
    if mde is not None and mde <= margin:
        return "no evidence of a difference"
    return "too small to tell"
