"""Intervals against metrics.md's examples, scipy, and properties that hold for any run."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from scipy import stats

from pytest_experiment_profiler.statistics import (
    Z_POWER,
    Absent,
    Difference,
    Estimate,
    Unit,
    Z,
    geometric_mean,
    geometric_mean_difference,
    geometric_mean_interval,
    independent_observations,
    join_repeats,
    kind_of,
    paired_difference,
    ratio,
    ratio_interval,
    t_quantile,
    wilson,
)

if TYPE_CHECKING:
    from pytest_experiment_profiler.statistics import Kind

FOUND_BEFORE = (3, 3, 3, 2, 3, 3, 2, 3, 3, 1, 3, 3)
FOUND_AFTER = (2, 2, 3, 1, 2, 3, 1, 2, 3, 2, 2, 1)
REFUSED_AFTER = (0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1)


def shares(*counts: tuple[int, int]) -> list[Unit]:
    return [Unit(Fraction(k, m), 1, m) if m else Unit(0, 0) for k, m in counts]


def turns(*counts: tuple[int, int]) -> list[Unit]:
    return [Unit(k, m) for k, m in counts]


def flags(*values: int) -> list[Unit]:
    return [Unit(value, 1) for value in values]


def thirds(found: tuple[int, ...]) -> list[Unit]:
    return shares(*((k, 3) for k in found))


def estimate(units: list[Unit], kind: Kind = "proportion") -> Estimate:
    result = ratio_interval(units, kind=kind)
    assert isinstance(result, Estimate), result
    return result


def ends(units: list[Unit], kind: Kind = "proportion") -> tuple[float, float]:
    interval = estimate(units, kind).interval
    return interval.low, interval.high


def difference(before: list[Unit], after: list[Unit], kind: Kind = "proportion") -> Difference:
    result = paired_difference(before, after, kind=kind)
    assert isinstance(result, Difference), result
    return result


def changed_flags(pairs: int, lost: int, gained: int) -> tuple[list[Unit], list[Unit]]:
    rest = pairs - lost - gained
    return (
        flags(*[1] * lost, *[0] * gained, *[0] * rest),
        flags(*[0] * lost, *[1] * gained, *[0] * rest),
    )


def near(*values: float) -> object:
    return pytest.approx(values, abs=5.01e-5)


class TestDefinitions:
    @pytest.mark.parametrize(
        ("coverage", "refusals", "expected"),
        [
            (shares((3, 3), (3, 3), (2, 3)), flags(0, 0, 1), (8 / 9, 1 / 3, 0.7698)),
            (shares((2, 3), (0, 3), (0, 3)), flags(0, 0, 0), (0.2222, 0, 0.4714)),
            (shares((1, 1), (0, 4)), flags(0, 0), (0.5, 0, 0.7071)),
            (shares((2, 2), (0, 0), (0, 2)), flags(0, 0, 1), (0.5, 1 / 3, 0.5774)),
            (shares((3, 3)), flags(0), (1, 0, 1)),
            (shares((1, 2)), turns((1, 2)), (0.5, 0.5, 0.5)),
            (shares((0, 3), (0, 2)), flags(1, 1), (0, 1, 0)),
        ],
    )
    def test_values(self, coverage, refusals, expected):
        c, r = ratio(coverage), ratio(refusals)

        assert (c, r, geometric_mean(c, r)) == near(*expected)

    def test_micro_coverage_counts_facts_not_dialogues(self):
        assert ratio(turns((1, 1), (0, 4))) == 0.2

    @pytest.mark.parametrize(
        ("values", "unit"),
        [
            ([(1.0, 3.0), None, (2.0, 3.0)], Unit(3, 6)),
            ([0.5, None, 1.0], Unit(0.75, 1)),
            ([None], Unit(0, 0)),
            ([], Unit(0, 0)),
        ],
    )
    def test_repeats_add_up_or_are_averaged(self, values, unit):
        assert join_repeats(values) == unit

    def test_nothing_to_divide_by(self):
        assert ratio([]) is None
        assert ratio(shares((0, 0))) is None
        assert geometric_mean(None, 0.5) is None
        assert geometric_mean(0.5, None) is None


class TestQuantiles:
    def test_constants_are_those_of_the_normal_distribution(self):
        assert NormalDist().inv_cdf(0.975) == pytest.approx(Z, abs=1e-15)
        assert NormalDist().inv_cdf(0.8) == pytest.approx(Z_POWER, abs=1e-15)

    @pytest.mark.parametrize("degrees", [1, 2, 3, 4])
    def test_t_is_tabled_where_the_series_fails(self, degrees):
        assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=1e-9)

    @pytest.mark.parametrize("degrees", [5, 6, 10, 30, 100, 9999])
    def test_t_series(self, degrees):
        assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=3e-4)


class TestWilson:
    @pytest.mark.parametrize(
        ("k", "n", "low", "high"),
        [(1, 3, 0.0615, 0.7923), (0, 40, 0, 0.0876), (6, 6, 0.6097, 1)],
    )
    def test_printed_values(self, k, n, low, high):
        assert wilson(k / n, n) == near(low, high)

    @given(n=st.integers(1, 500), data=st.data())
    def test_scipy_agrees(self, n, data):
        k = data.draw(st.integers(0, n))
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")

        assert wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)

    @given(p=st.floats(0, 1), n=st.floats(1, 1e6))
    def test_bounds_hold_the_proportion(self, p, n):
        low, high = wilson(p, n)

        assert 0 <= low <= p + 1e-12
        assert p - 1e-12 <= high <= 1


class TestProportions:
    def test_sample_experiment(self):
        coverage = estimate(thirds((3, 3, 2)))
        refusals = estimate(flags(0, 0, 1))
        both = geometric_mean_interval(coverage.interval, refusals.interval)

        assert coverage.n_eff == pytest.approx(8)
        assert (coverage.interval.low, coverage.interval.high) == near(0.5437, 0.9817)
        assert (both.low, both.high) == near(0.3360, 0.9599)
        assert (coverage.interval.n, both.n, both.method) == (3, 3, "corners")

    def test_effective_size_is_limited_to_that_of_independent_facts(self):
        units = shares(*[(1, 1)] * 4, (2, 4), (3, 4), (3, 4), (2, 4))

        assert ratio(units) == 0.8125
        assert estimate(units).n_eff == pytest.approx(12.8)
        assert ends(units) == near(0.5394, 0.9413)

    def test_turns_of_a_dialogue_are_not_independent(self):
        units = turns((0, 3), (0, 3), (1, 3), (3, 3))

        assert estimate(units).n_eff == pytest.approx(4)
        assert ends(units) == near(0.0751, 0.7549)

    @pytest.mark.parametrize(
        ("found", "low", "high"),
        [(FOUND_BEFORE, 0.7119, 0.9628), (FOUND_AFTER, 0.5033, 0.7979)],
    )
    def test_both_runs_of_the_paired_example(self, found, low, high):
        assert ends(thirds(found)) == near(low, high)

    def test_one_turn_a_dialogue_is_plain_wilson(self):
        result = estimate(flags(0, 1, 0, 1, 1))

        assert result.interval.method == "wilson"
        assert (result.interval.low, result.interval.high) == wilson(0.6, 5)

    @pytest.mark.parametrize("count", [1, 3, 7, 49, 1000])
    def test_equal_dialogues_count_once_each_despite_rounding(self, count):
        assert estimate([Unit(2 / 3, 1, 3)] * count).n_eff == count

    def test_repeats_raise_the_limit(self):
        once = [Unit(Fraction(k, 2), 1, 2) for k in (1, 2, 1, 2, 1)]
        thrice = [unit._replace(observations=6) for unit in once]

        assert independent_observations(once) == pytest.approx(10)
        assert independent_observations(thrice) == pytest.approx(30)
        assert estimate(once).n_eff <= estimate(thrice).n_eff

    def test_dialogues_without_facts_are_left_out(self):
        units = thirds((3, 1, 2))

        assert ratio_interval([*units, Unit(0, 0)], kind="proportion") == estimate(units)

    def test_nothing_counted(self):
        assert ratio_interval([Unit(0, 0)], kind="proportion") == Absent("nothing to count")
        assert ratio_interval([], kind="mean") == Absent("nothing to count")


class TestClusters:
    def test_clusters_take_the_place_of_dialogues(self):
        rows = [("a", 3), ("a", 3), ("b", 0), ("b", 1), ("c", 2), ("c", 2)]
        units = [Unit(Fraction(k, 3), 1, 3, name) for name, k in rows]
        result = estimate(units)
        p = 11 / 18
        squares = sum((k - 2 * p) ** 2 for k in (2, 1 / 3, 4 / 3))
        variance = 3 / 2 * squares / 36

        assert result.interval.n == 3
        assert result.n_eff == pytest.approx(max(3, p * (1 - p) / variance))

    def test_a_dialogue_without_a_cluster_stands_for_itself(self):
        mixed = [Unit(1, 1, cluster="a"), Unit(0, 1, cluster="a"), Unit(1, 1), Unit(0, 1)]

        assert estimate(mixed).interval.n == 3

    def test_clusters_of_one_change_nothing(self):
        units = thirds(FOUND_BEFORE)
        named = [unit._replace(cluster=f"topic {i}") for i, unit in enumerate(units)]

        assert ends(named) == ends(units)

    def test_one_heavy_dialogue_is_warned_of(self):
        assert estimate(turns((1, 8), (0, 1), (1, 1))).warning == (
            "one dialogue carries 80% of the whole: the interval may be too narrow"
        )

    def test_one_heavy_cluster_is_warned_of(self):
        units = [Unit(1, 1, cluster="a"), Unit(0, 1, cluster="a"), Unit(1, 1, cluster="b")]

        assert str(estimate(units).warning).startswith("one cluster carries 67%")

    @pytest.mark.parametrize("units", [flags(0, 1), turns((1, 3), (0, 3), (2, 3))])
    def test_few_equal_dialogues_are_not_heavy(self, units):
        assert estimate(units).warning is None


class TestMeans:
    def test_student_t(self):
        values = [12.5, 80.0, 3.25, 44.0, 41.0, 9.0, 100.0]
        expected = stats.t.interval(
            0.95, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values)
        )

        assert ends([Unit(v, 1) for v in values], "mean") == pytest.approx(expected, abs=0.02)

    def test_ratio_of_sums(self):
        units = [Unit(10, 2), Unit(30, 5), Unit(4, 1)]
        value = 44 / 8
        variance = 3 / 2 * sum((k - value * m) ** 2 for k, m, *_ in units) / 64
        reach = stats.t.ppf(0.975, 2) * math.sqrt(variance)

        assert ends(units, "mean") == pytest.approx((value - reach, value + reach))

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ([7.5], "one value alone shows no spread"),
            ([0.1, 0.1, 0.1], "all values are equal, so their spread is unknown"),
            ([1.0, math.nan], "a value is not a finite number, or too large to square"),
            ([1.0, math.inf, -math.inf], "a value is not a finite number, or too large to square"),
            ([1.0, 1e300], "a value is not a finite number, or too large to square"),
        ],
    )
    def test_no_interval_where_none_is_honest(self, values, reason):
        assert ratio_interval([Unit(v, 1) for v in values], kind="mean") == Absent(reason)

    @pytest.mark.parametrize(
        ("units", "kind"),
        [
            (flags(0, 1, 1), "proportion"),
            (turns((2, 3), (0, 1)), "proportion"),
            ([Unit(0.5, 1)], "mean"),
            ([Unit(3, 2)], "mean"),
            ([Unit(-1, 1)], "mean"),
            ([Unit(math.nan, 1)], "mean"),
        ],
    )
    def test_only_counts_out_of_counts_are_proportions(self, units, kind):
        assert kind_of(units) == kind


class TestDifferences:
    def test_coverage_example(self):
        result = difference(thirds(FOUND_BEFORE), thirds(FOUND_AFTER))

        assert (result.difference, result.low, result.high, result.mde) == near(
            -0.2222, -0.3871, -0.0573, 0.2099
        )
        assert (result.n, result.changed, result.method) == (12, 9, "t")

    def test_refusal_example(self):
        result = difference(flags(*[0] * 12), flags(*REFUSED_AFTER))

        assert (result.difference, result.low, result.high, result.mde) == near(
            1 / 6, -0.1270, 0.4127, 0.3857
        )
        assert (result.changed, result.method) == (2, "bonett_price")

    def test_geometric_mean_example(self):
        result = geometric_mean_difference(
            (thirds(FOUND_BEFORE), flags(*[0] * 12)), (thirds(FOUND_AFTER), flags(*REFUSED_AFTER))
        )

        assert isinstance(result, Difference)
        assert (result.difference, result.low, result.high) == near(-0.1975, -0.3727, -0.0223)

    @pytest.mark.parametrize(
        ("pairs", "lost", "gained", "expected"),
        [
            (40, 1, 8, (0.175, 0.0322, 0.3178, 0.1978)),
            (40, 0, 0, (0, -0.0660, 0.0660, 0.0943)),
            (1000, 0, 0, (0, -0.0028, 0.0028, 0.0040)),
            (400, 14, 12, (-0.005, -0.0301, 0.0201, 0.0358)),
        ],
    )
    def test_flag_examples(self, pairs, lost, gained, expected):
        result = difference(*changed_flags(pairs, lost, gained))

        assert (result.difference, result.low, result.high, result.mde) == near(*expected)

    def test_student_t_of_scipy(self):
        counts = default_rng(7).integers(0, 6, (60, 2)).tolist()
        before = shares(*((k, 5) for k, _ in counts))
        after = shares(*((k, 5) for _, k in counts))
        expected = stats.ttest_rel(
            [k / 5 for _, k in counts], [k / 5 for k, _ in counts]
        ).confidence_interval()
        result = difference(before, after)

        assert (result.low, result.high) == pytest.approx(tuple(expected), abs=1e-6)

    def test_the_same_gain_everywhere_still_has_a_width(self):
        result = difference(flags(*[0] * 8), flags(*[1] * 8))

        assert result.method == "bonett_price"
        assert result.low < result.high <= 1

    def test_turns_of_unequal_number(self):
        before = turns((0, 1), (1, 4), (0, 2), (2, 2), (1, 3), (0, 1), (1, 2), (0, 3))
        after = turns((1, 1), (2, 4), (1, 2), (1, 2), (2, 3), (0, 1), (2, 2), (1, 3))
        result = difference(before, after)
        p, q = 5 / 18, 10 / 18
        scale = 8 / 18
        gaps = [
            q + scale * (k - q * m) - p - scale * (j - p * m)
            for (j, m, *_), (k, *_) in zip(before, after, strict=True)
        ]
        expected = stats.t.interval(0.95, 7, loc=sum(gaps) / 8, scale=stats.sem(gaps))

        assert result.difference == pytest.approx(q - p)
        assert (result.low, result.high) == pytest.approx(expected, abs=1e-4)

    def test_clusters_widen_what_moves_together(self):
        before, after = changed_flags(60, 4, 16)
        alone = difference(before, after)
        together = difference(
            [unit._replace(cluster=str(i // 4)) for i, unit in enumerate(before)],
            [unit._replace(cluster=str(i // 4)) for i, unit in enumerate(after)],
        )

        assert (together.n, together.changed) == (15, 5)
        assert together.difference == pytest.approx(alone.difference)
        assert together.high - together.low > alone.high - alone.low

    def test_own_metrics_need_enough_changes(self):
        before = [Unit(v, 1) for v in (100.0, 120.0, 90.0, 80.0, 95.0, 130.0)]
        after = [Unit(unit.numerator + i, 1) for i, unit in enumerate(before, start=1)]

        assert difference(before, after, "mean").difference == pytest.approx(3.5)
        assert paired_difference(before[:5], after[:5], kind="mean") == Absent(
            "too few dialogues changed, or all by the same amount"
        )

    def test_nothing_to_compare(self):
        assert paired_difference([], [], kind="proportion") == Absent("nothing to count")

    def test_no_geometric_mean_to_compare(self):
        good = (thirds((3, 2)), flags(0, 0))
        nothing = (thirds((0, 0)), flags(0, 0))

        for pair in ((good, nothing), (nothing, good)):
            result = geometric_mean_difference(*pair)
            assert result == Absent("a geometric mean of 0 has no slope to judge by")
        without_facts = ([Unit(0, 0)], flags(0))
        assert geometric_mean_difference(without_facts, without_facts) == Absent("nothing to count")

    def test_geometric_mean_with_dialogues_without_facts(self):
        coverage = (shares((2, 3), (0, 0), (3, 3)), shares((3, 3), (0, 0), (1, 3)))
        refusals = (turns((0, 1), (1, 2), (0, 1)), turns((0, 1), (0, 2), (1, 1)))
        result = geometric_mean_difference((coverage[0], refusals[0]), (coverage[1], refusals[1]))
        old = math.sqrt(5 / 6 * 3 / 4)
        new = math.sqrt(4 / 6 * 3 / 4)

        assert isinstance(result, Difference)
        assert result.difference == pytest.approx(new - old)
        assert (result.n, result.changed) == (3, 3)


COUNTS = st.integers(1, 6).flatmap(lambda m: st.tuples(st.integers(0, m), st.just(m)))
CLUSTERS = st.sampled_from([None, "a", "b", "c"])
UNITS = st.lists(
    st.builds(lambda count, name: Unit(count[0], count[1], cluster=name), COUNTS, CLUSTERS),
    min_size=1,
    max_size=25,
)
PAIRS = st.lists(
    st.integers(1, 6).flatmap(
        lambda m: st.tuples(st.integers(0, m), st.integers(0, m), st.just(m))
    ),
    min_size=1,
    max_size=25,
)


class TestProperties:
    @given(units=UNITS, data=st.data())
    def test_order_never_matters(self, units, data):
        shuffled = data.draw(st.permutations(units))

        assert ratio(units) == ratio(shuffled)
        assert ends(units) == pytest.approx(ends(shuffled), abs=1e-12)

    @given(units=UNITS)
    def test_intervals_hold_their_value_and_stay_in_bounds(self, units):
        low, high = ends(units)
        value = ratio(units)

        assert value is not None
        assert 0 <= low <= value + 1e-12
        assert value - 1e-12 <= high <= 1

    @given(counts=st.lists(COUNTS, min_size=1, max_size=15), times=st.integers(2, 4))
    def test_more_of_the_same_narrows(self, counts, times):
        units = shares(*counts)
        (low, high), (lower, higher) = ends(units), ends(units * times)

        assert ratio(units * times) == pytest.approx(ratio(units))
        assert higher - lower <= high - low + 1e-12

    @given(units=UNITS)
    def test_the_effective_size_keeps_its_limits(self, units):
        result = estimate(units)
        total = sum(float(unit.denominator) for unit in units)

        assert result.interval.n <= result.n_eff
        assert result.n_eff <= total + 1e-9

    @given(counts=st.lists(COUNTS, min_size=1, max_size=15), data=st.data())
    def test_a_better_answer_never_lowers_coverage(self, counts, data):
        place = data.draw(st.integers(0, len(counts) - 1))
        k, m = counts[place]
        better = [*counts[:place], (min(k + 1, m), m), *counts[place + 1 :]]

        assert (ratio(shares(*better)) or 0) >= (ratio(shares(*counts)) or 0)

    @given(pairs=PAIRS, data=st.data())
    def test_differences_don_t_know_order(self, pairs, data):
        shuffled = data.draw(st.permutations(pairs))
        results = [
            difference(shares(*((k, m) for k, _, m in p)), shares(*((j, m) for _, j, m in p)))
            for p in (pairs, shuffled)
        ]

        assert results[0][:4] == pytest.approx(results[1][:4], abs=1e-12)
        assert results[0][4:] == results[1][4:]

    @given(pairs=PAIRS)
    def test_swapping_the_runs_turns_the_difference_round(self, pairs):
        before = turns(*((k, m) for k, _, m in pairs))
        after = turns(*((j, m) for _, j, m in pairs))
        there, back = difference(before, after), difference(after, before)

        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
        assert there.mde == pytest.approx(back.mde)
        assert -1 <= there.low <= there.high <= 1

    @given(
        pairs=st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans()),
            min_size=1,
            max_size=20,
        )
    )
    def test_geometric_mean_differences_are_those_of_the_values(self, pairs):
        coverage = [thirds(tuple(row[i] for row in pairs)) for i in (0, 1)]
        refusals = [flags(*(int(row[i]) for row in pairs)) for i in (2, 3)]
        runs = list(zip(coverage, refusals, strict=True))
        old, new = (geometric_mean(ratio(c), ratio(r)) for c, r in runs)
        result = geometric_mean_difference(runs[0], runs[1])

        assert old is not None
        assert new is not None
        if isinstance(result, Absent):
            assert not old * new
        else:
            assert result.difference == pytest.approx(new - old, abs=1e-9)
