"""Whether a case tells right programs from wrong ones: no wrong formula gives a right value."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Literal, TypeAlias

from grader.oracle import average, sum_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.oracle import Mark

Facts: TypeAlias = Literal["some", "missed", "none"]
CLOSEST = 1e-3
OFF = 2.5e-4
SMALLEST = 0.2
SMALLEST_RATE = 0.12
SAMPLE_VALUES = (0.875, 0.4, 0.7246, 0.8889, 0.3333, 0.7698)


def is_telling(marks: Sequence[Mark], facts: Facts) -> bool:
    """Tell whether every wrong formula that we know gives another value.

    A rate is told apart in every case, coverage and mean where some facts are found and some not.
    """
    values = sum_up(marks)
    coverage, rate, mean = values.fact_coverage, values.refusal_rate, values.geometric_mean
    if not is_telling_rate(rate, facts):
        return False
    if facts != "some":
        return coverage == (0 if facts == "missed" else None)
    if coverage is None or mean is None or min(coverage, 1 - coverage) < SMALLEST:
        return False
    distinct = [rate, 1 - rate, coverage, mean, *SAMPLE_VALUES, 0.0, 1.0]
    distinct += [(coverage + rate) / 2, (coverage + 1 - rate) / 2]
    distinct += [(coverage * rate) ** 0.5, coverage * (1 - rate)]
    distinct += [round(value, 2) for value in (rate, coverage, mean)]
    return (
        _are_apart(distinct)
        and all(map(_shows_rounding, (coverage, mean)))
        and _is_off(coverage, _wrong_coverages(marks))
        and _is_off(mean, _wrong_means(marks, coverage, rate))
    )


def is_telling_rate(rate: float, facts: Facts) -> bool:
    """Tell whether a refusal rate can't be taken for something else; one of 0 or 1 may be."""
    if rate in {0, 1}:
        return facts != "some"
    distinct = [rate, 1 - rate, *SAMPLE_VALUES, 0.0, 1.0]
    distinct += [round(rate, 2)] if facts == "some" else []
    # Where facts are missed, the rate is the one number that rounding could change.
    rounded = facts != "missed" or (_shows_rounding(rate) and _shows_cutting(rate))
    least = SMALLEST if facts == "some" else SMALLEST_RATE
    return min(rate, 1 - rate) >= least and _are_apart(distinct) and rounded


def _are_apart(values: list[float]) -> bool:
    ordered = sorted(values)
    return all(high - low >= CLOSEST for low, high in itertools.pairwise(ordered))


def _is_off(right: float, wrong: Iterable[float]) -> bool:
    return all(abs(value - right) > OFF for value in wrong)


def _shows_rounding(value: float) -> bool:
    """Tell whether a value is another one with three decimals."""
    return abs(value - round(value, 3)) > OFF


def _shows_cutting(value: float) -> bool:
    """Tell whether a value is shown as another one if it is cut off after four decimals."""
    return value * 1e4 % 1 > 0.55  # noqa: PLR2004 -- half of the last decimal, and a margin


def _wrong_coverages(marks: Sequence[Mark]) -> list[float]:
    told = [item for item in marks if item.hits]
    shares = [item.share for item in told]
    readings: tuple[Sequence[float], ...] = (
        [hit for item in told for hit in item.hits],
        [item.share for item in told if not item.refused],
        [0.0 if item.refused else item.share for item in told],
        [*shares, *(1.0 for item in marks if not item.hits)],
        [*shares, *(0.0 for item in marks if not item.hits)],
        [float(all(item.hits)) for item in told],
        [float(any(item.hits)) for item in told],
        [float(item.hits[0]) for item in told],
        [round(share, 1) for share in shares],
        sorted(shares)[len(shares) // 2 :][:1],
    )
    return [value for value in map(average, readings) if value is not None]


def _wrong_means(marks: Sequence[Mark], coverage: float, rate: float) -> list[float]:
    told = [item for item in marks if item.hits]
    rates = (round(rate, 2), sum(item.refused for item in told) / len(told))
    coverages = (round(coverage, 2), _wrong_coverages(marks)[0], _wrong_coverages(marks)[1])
    each = [math.sqrt(item.share * (1 - item.refused)) for item in told]
    return [
        *(math.sqrt(coverage * (1 - wrong)) for wrong in rates),
        *(math.sqrt(wrong * (1 - rate)) for wrong in coverages),
        math.sqrt(round(coverage, 2) * (1 - round(rate, 2))),
        2 * coverage * (1 - rate) / (coverage + 1 - rate),
        average(each) or 0.0,
    ]
