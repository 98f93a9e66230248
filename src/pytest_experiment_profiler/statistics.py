"""Numbers of dialogues in, intervals out: how sure a run's values and differences are.

All at 95 %, in plain Python: importing scipy.stats would take longer than a run on the mock.
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import chain, repeat
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar

from pytest_experiment_profiler.experiment import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_experiment_profiler.experiment import Value

Number: TypeAlias = "int | float | Fraction"
Counted = TypeVar("Counted", "Unit", "_Part")
Kind: TypeAlias = Literal["proportion", "mean"]

LEVEL = 0.95
Z = 1.959963984540054
Z_POWER = 0.8416212335729143
T_SMALL = (12.706204736174705, 4.302652729749464, 3.1824463052837095, 2.776445105197793)
ENOUGH_CHANGED = 6
HEAVY_SHARE = 0.25
LARGEST = 1e150


class Unit(NamedTuple):
    """One dialogue's part of a metric, whose value is the ratio of the sums.

    `observations`: how many independent ones may stand behind it (facts, turns; times repeats),
    by default the denominator. A part of (0, 0) doesn't count. Units of one `cluster` aren't
    independent; without a cluster a unit stands for itself.
    """

    numerator: Number
    denominator: Number
    observations: float | None = None
    cluster: str | None = None


class Estimate(NamedTuple):
    """An interval, the sample size that it acts on, and what the reader should be warned of."""

    interval: Interval
    n_eff: float
    warning: str | None = None


class Difference(NamedTuple):
    """Candidate minus baseline, with its interval and the least difference likely to be found.

    `n` counts the independent units, `changed` those among them that differ between the runs.
    """

    difference: float
    low: float
    high: float
    mde: float
    n: int
    changed: int
    method: str


class Absent(NamedTuple):
    """Why there is no honest interval."""

    reason: str


FAILED = Absent("the metric failed")


class _Part(NamedTuple):
    """The sums of one independent unit."""

    numerator: float
    denominator: float


def _sum(counted: Counter[Counted], number: Callable[[Counted], Number]) -> float:
    """Add up a number of all, of which many are equal."""
    each = (repeat(number(one), count) for one, count in counted.items())
    return math.fsum(chain.from_iterable(each))


def _numerator(of: Unit | _Part) -> Number:
    return of.numerator


def _denominator(of: Unit | _Part) -> Number:
    return of.denominator


def join_repeats(values: Iterable[Value]) -> Unit:
    """Make one dialogue's part of its values, one a repeat: counts add up, shares are averaged."""
    given = [value for value in values if value is not None]
    if len(given) == 1:
        return Unit(*given[0]) if isinstance(given[0], tuple) else Unit(given[0], 1)
    pairs = [value for value in given if isinstance(value, tuple)]
    if pairs:
        return Unit(math.fsum(k for k, _ in pairs), math.fsum(m for _, m in pairs))
    shares = [value for value in given if not isinstance(value, tuple)]
    return Unit(math.fsum(shares) / len(shares), 1) if shares else Unit(0, 0)


def ratio(units: Iterable[Unit]) -> float | None:
    """Divide the sum of the numerators by that of the denominators; None: nothing to divide by.

    Fractions are added as such: 5/5, 5/5 and 2/5 give 0.8, not a little less. A Counter of units
    counts each so often, here and below.
    """
    counted = Counter(units)
    total = _sum(counted, _denominator)
    if not total:
        return None
    if any(isinstance(unit.numerator, float) for unit in counted):
        return _sum(counted, _numerator) / total
    exact = sum(Fraction(unit.numerator) * count for unit, count in counted.items())
    return float(exact / Fraction(total))


def geometric_mean(fact_coverage: float | None, refusal_rate: float | None) -> float | None:
    """Join both metrics; None if either is."""
    if fact_coverage is None or refusal_rate is None:
        return None
    return math.sqrt(fact_coverage * (1 - refusal_rate))


def kind_of(units: Iterable[Unit]) -> Kind:
    """Tell counts out of counts from numbers of any size, for a metric that doesn't say."""
    return "proportion" if all(map(_is_count, units)) else "mean"


def _is_count(unit: Unit) -> bool:
    k, m = unit.numerator, unit.denominator
    return 0 <= k <= m < math.inf and k == int(k) and m == int(m)


def t_quantile(degrees: int) -> float:
    """Give the .975 quantile of Student's t (Fisher & Cornish 1960; a table below 5)."""
    if degrees <= len(T_SMALL):
        return T_SMALL[degrees - 1]
    return (
        Z
        + (Z**3 + Z) / (4 * degrees)
        + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * degrees**2)
        + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * degrees**3)
        + (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / (92160 * degrees**4)
    )


def wilson(p: float, n: float) -> tuple[float, float]:
    """Bound a proportion seen in n observations (Wilson 1927)."""
    square = Z * Z / n
    middle = p + square / 2
    reach = Z * math.sqrt(p * (1 - p) / n + square / (4 * n))
    low, high = (middle - reach) / (1 + square), (middle + reach) / (1 + square)
    # Both ends are p itself there, and rounding must not say otherwise.
    return (0.0 if p <= 0 else max(0.0, low), 1.0 if p >= 1 else min(1.0, high))


def ratio_interval(units: Iterable[Unit], *, kind: Kind) -> Estimate | Absent:
    """Bound a ratio of sums.

    A proportion by Wilson at the effective sample size, a mean of any size by Student's t on the
    ratio estimator (Cochran 1977).
    """
    counted = Counter(units)
    for empty in [unit for unit in counted if not (unit.numerator or unit.denominator)]:
        del counted[empty]
    if not all(-LARGEST < number < LARGEST for unit in counted for number in unit[:2]):
        return Absent("a value is not a finite number, or too large to square")
    parts = _parts(counted)
    total = _sum(parts, _denominator)
    if not total:
        return Absent("nothing to count")
    value = _sum(parts, _numerator) / total
    variance = _variance(parts, value, total)
    if kind == "mean":
        return _mean_interval(counted, parts, value, variance)
    return _proportion_interval(counted, parts, min(1.0, max(0.0, value)), variance)


def _parts(units: Counter[Unit]) -> Counter[_Part]:
    """Count the independent parts: the clusters, and the units without one."""
    parts: Counter[_Part] = Counter()
    clusters: dict[str, Counter[Unit]] = {}
    for unit, count in units.items():
        if unit.cluster is None:
            parts[_Part(float(unit.numerator), float(unit.denominator))] += count
        else:
            clusters.setdefault(unit.cluster, Counter())[unit] += count
    for members in clusters.values():
        parts[_Part(_sum(members, _numerator), _sum(members, _denominator))] += 1
    return parts


def _variance(parts: Counter[_Part], value: float, total: float) -> float:
    """Estimate a ratio's variance from its residuals (Cochran 1977)."""

    def residual(part: _Part) -> float:
        return part.numerator - value * part.denominator

    n = parts.total()
    largest = max(abs(part.numerator) for part in parts)
    # Equal values leave residuals of rounding, which would count as a wealth of observations.
    if n == 1 or max(abs(residual(part)) for part in parts) <= 1e-12 * largest:
        return 0.0
    return n / (n - 1) * _sum(parts, lambda part: (residual(part) / total) ** 2)


def _proportion_interval(
    units: Counter[Unit], parts: Counter[_Part], value: float, variance: float
) -> Estimate:
    n = parts.total()
    most = independent_observations(units)
    n_eff = max(float(n), min(value * (1 - value) / variance, most)) if variance else float(n)
    low, high = wilson(value, n_eff)
    method = "wilson" if most <= n else "wilson_n_eff"
    interval = Interval(low=low, high=high, level=LEVEL, n=n, method=method)
    return Estimate(interval, n_eff, _imbalance(units, parts))


def independent_observations(units: Iterable[Unit]) -> float:
    """Give the effective sample size that independent observations would have (Kish 1965)."""
    counted = Counter(units)
    total = _sum(counted, _denominator)
    return total * total / _sum(counted, _spread)


def _spread(unit: Unit) -> float:
    weight = float(unit.denominator)
    return weight if unit.observations is None else weight * weight / unit.observations


def _mean_interval(
    units: Counter[Unit], parts: Counter[_Part], value: float, variance: float
) -> Estimate | Absent:
    n = parts.total()
    if n == 1:
        return Absent("one value alone shows no spread")
    if not variance:
        return Absent("all values are equal, so their spread is unknown")
    reach = t_quantile(n - 1) * math.sqrt(variance)
    interval = Interval(low=value - reach, high=value + reach, level=LEVEL, n=n, method="t_ratio")
    return Estimate(interval, float(n), _imbalance(units, parts))


def _imbalance(units: Counter[Unit], parts: Counter[_Part]) -> str | None:
    """Warn of one part that weighs more than its number gives away."""
    share = max(part.denominator for part in parts) / _sum(parts, _denominator)
    if share <= HEAVY_SHARE or share * parts.total() <= 1 + 1e-9:
        return None
    name = "cluster" if any(unit.cluster is not None for unit in units) else "dialogue"
    return f"one {name} carries {share:.0%} of the whole: the interval may be too narrow"


def geometric_mean_interval(fact_coverage: Interval, refusal_rate: Interval) -> Interval:
    """Join both metrics' intervals at their corners."""
    return Interval(
        low=math.sqrt(fact_coverage.low * (1 - refusal_rate.high)),
        high=math.sqrt(fact_coverage.high * (1 - refusal_rate.low)),
        level=LEVEL,
        n=min(fact_coverage.n, refusal_rate.n),
        method="corners",
    )


def paired_difference(
    baseline: Sequence[Unit], candidate: Sequence[Unit], *, kind: Kind
) -> Difference | Absent:
    """Bound the difference of two runs' ratios; units at one position are of one dialogue."""
    before, after = _linearised(baseline), _linearised(candidate)
    if before is None or after is None:
        return Absent("nothing to count")
    changed = [old[:2] != new[:2] for old, new in zip(baseline, candidate, strict=True)]
    return _difference(before, after, changed, candidate, kind)


def geometric_mean_difference(
    baseline: tuple[Sequence[Unit], Sequence[Unit]],
    candidate: tuple[Sequence[Unit], Sequence[Unit]],
) -> Difference | Absent:
    """Bound the difference of two geometric means (linearised, Woodruff 1971).

    Each run is its units of fact_coverage, (0, 0) where a dialogue has no facts, and those of
    refusal_rate, all in one order of dialogues.
    """
    before, after = _joined(*baseline), _joined(*candidate)
    if isinstance(before, Absent):
        return before
    if isinstance(after, Absent):
        return after
    old_and_new = zip(*baseline, *candidate, strict=True)
    changed = [(c[:2], r[:2]) != (d[:2], s[:2]) for c, r, d, s in old_and_new]
    return _difference(before, after, changed, candidate[1], "proportion")


def _linearised(units: Sequence[Unit]) -> list[float] | None:
    """Spread a ratio over its units, so that their plain mean is the ratio."""
    value = ratio(units)
    if value is None:
        return None
    scale = len(units) / math.fsum(unit.denominator for unit in units)
    return [
        value + scale * (float(unit.numerator) - value * float(unit.denominator)) for unit in units
    ]


def _joined(coverage: Sequence[Unit], refusals: Sequence[Unit]) -> list[float] | Absent:
    """Spread a geometric mean over its dialogues, so that their plain mean is that value."""
    covered, refused = _linearised(coverage), _linearised(refusals)
    c, r = ratio(coverage), ratio(refusals)
    value = geometric_mean(c, r)
    if covered is None or refused is None or c is None or r is None or value is None:
        return Absent("nothing to count")
    if not value:
        return Absent("a geometric mean of 0 has no slope to judge by")
    return [
        (x * (1 - r) + (1 - y) * c) / (2 * value) for x, y in zip(covered, refused, strict=True)
    ]


def _difference(
    before: Sequence[float],
    after: Sequence[float],
    changed: Sequence[bool],
    units: Sequence[Unit],
    kind: Kind,
) -> Difference | Absent:
    """Bound a mean difference, with clusters in the place of dialogues where units name them."""
    gaps = [
        Unit(new - old, 1, cluster=unit.cluster)
        for old, new, unit in zip(before, after, units, strict=True)
    ]
    moves = (gap._replace(numerator=int(c)) for gap, c in zip(gaps, changed, strict=True))
    parts, moved = _parts(Counter(gaps)), _parts(Counter(moves))
    n, k = parts.total(), sum(count for part, count in moved.items() if part.numerator > 0)
    mean = _sum(parts, _numerator) / len(gaps)
    variance = _variance(parts, mean, len(gaps))
    if k >= ENOUGH_CHANGED and variance:
        middle, se = mean, math.sqrt(variance)
        reach, method = t_quantile(n - 1) * se, "t"
    elif kind == "mean":
        return Absent("too few dialogues changed, or all by the same amount")
    else:
        middle, se = _with_two_more([p.numerator * n / len(gaps) for p in parts.elements()])
        reach, method = Z * se, "bonett_price"
    low, high = middle - reach, middle + reach
    if kind == "proportion":
        low, high = max(-1.0, low), min(1.0, high)
    return Difference(mean, low, high, (Z + Z_POWER) * se, n, k, method)


def _with_two_more(gaps: Sequence[float]) -> tuple[float, float]:
    """Add a gain and a loss, so that no change has a width as well (Bonett & Price 2012)."""
    n = len(gaps) + 2
    mean = math.fsum(gaps) / n
    variance = ((math.fsum(gap * gap for gap in gaps) + 2) / n - mean * mean) / n
    return mean, math.sqrt(variance)
