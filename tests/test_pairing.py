"""Paired tests against metrics.md's examples, scipy, brute force, and properties."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from scipy import stats

from pytest_experiment_profiler.pairing import (
    PATTERNS,
    holm,
    judge,
    mcnemar,
    ratio_test,
    sign_flip,
    swap_test,
)
from pytest_experiment_profiler.statistics import geometric_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_experiment_profiler.pairing import Number, Sums

FOUND_BEFORE = (3, 3, 3, 2, 3, 3, 2, 3, 3, 1, 3, 3)
FOUND_AFTER = (2, 2, 3, 1, 2, 3, 1, 2, 3, 2, 2, 1)
REFUSED_AFTER = (0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1)
GAPS = tuple(Fraction(b - a, 3) for a, b in zip(FOUND_BEFORE, FOUND_AFTER, strict=True))


def joined(sums: Sums) -> float:
    shares, counted, refused, replies = sums
    return geometric_mean(shares / counted, refused / replies) or 0.0


def first(sums: Sums) -> float:
    return sums[0]


def counted_by_hand(gaps: list[Fraction]) -> float:
    observed = abs(sum(gaps, Fraction(0)))
    patterns = list(product((-1, 1), repeat=len(gaps)))
    hits = sum(
        abs(sum((s * g for s, g in zip(signs, gaps, strict=True)), Fraction(0))) >= observed
        for signs in patterns
    )
    return hits / len(patterns)


class TestMcNemar:
    @pytest.mark.parametrize(
        ("lost", "gained", "p"), [(1, 8, 0.0391), (14, 12, 0.8450), (0, 5, 0.0625), (0, 6, 0.0313)]
    )
    def test_printed_values(self, lost, gained, p):
        assert mcnemar(lost, gained) == pytest.approx(p, abs=5.01e-5)

    def test_nothing_changed(self):
        assert mcnemar(0, 0) == 1

    @given(lost=st.integers(0, 60), gained=st.integers(0, 60))
    def test_scipy_agrees(self, lost, gained):
        if lost + gained:
            expected = stats.binomtest(lost, lost + gained).pvalue
            assert mcnemar(lost, gained) == pytest.approx(expected)
        assert mcnemar(lost, gained) == mcnemar(gained, lost)

    def test_thousands_of_changes_stay_exact(self):
        expected = stats.binomtest(4900, 10_000).pvalue

        assert mcnemar(4900, 5100) == pytest.approx(expected)


class TestSignFlip:
    def test_printed_values(self):
        assert sign_flip(GAPS) == 18 / 512
        assert sign_flip(REFUSED_AFTER) == 0.5

    def test_floats_are_read_as_the_fractions_they_stand_for(self):
        assert sign_flip([float(gap) for gap in GAPS]) == 18 / 512
        assert (
            sign_flip([b / 3 - a / 3 for a, b in zip(FOUND_BEFORE, FOUND_AFTER, strict=True)])
            == 18 / 512
        )

    def test_nothing_changed(self):
        assert sign_flip([]) == 1
        assert sign_flip([0, 0.0, Fraction(0)]) == 1

    @given(
        gaps=st.lists(
            st.builds(Fraction, st.integers(-4, 4), st.sampled_from([1, 2, 3, 5])), max_size=9
        )
    )
    def test_brute_force_agrees(self, gaps):
        assert sign_flip(gaps) == counted_by_hand(gaps)

    @given(steps=st.lists(st.integers(-50, 50), max_size=8), unit=st.sampled_from([1e-9, 7.0]))
    def test_brute_force_agrees_on_floats_that_are_no_plain_fractions(self, steps, unit):
        p = sign_flip([step * unit * math.sqrt(2) for step in steps])

        assert p == counted_by_hand([Fraction(step) for step in steps])

    @given(signs=st.lists(st.sampled_from([-1, 0, 1]), max_size=40))
    def test_on_flags_it_is_mcnemar(self, signs):
        halves = [Fraction(sign, 2) for sign in signs]

        assert sign_flip(halves) == mcnemar(signs.count(-1), signs.count(1))

    def test_parts_of_up_to_ten_facts_are_exact(self):
        random = default_rng(3)
        wholes = [7, 8, 9, 10, *random.integers(1, 11, 226).tolist()]
        steps = [int(random.integers(1, whole + 1)) * 2520 // whole for whole in wholes]
        steps = [step if random.random() < 0.53 else -step for step in steps]
        chances = np.ones(1)
        for step in map(abs, steps):
            chances = np.append(chances, np.zeros(step)) + np.append(np.zeros(step), chances)
            chances /= 2
        down = (sum(map(abs, steps)) - abs(sum(steps))) // 2

        p = sign_flip([Fraction(step, 2520) for step in steps])
        assert p == pytest.approx(2 * float(chances[: down + 1].sum()))

    def test_two_hundred_changes_are_exact(self):
        steps = default_rng(3).integers(-5, 7, 220).tolist()
        gaps = [Fraction(step, 3 + place % 3) for place, step in enumerate(steps)]
        sizes = [int(abs(gap) * 60) for gap in gaps if gap]
        ways = {0: 1}
        for size in sizes:
            grown: dict[int, int] = {}
            for total, count in ways.items():
                for step in (-size, size):
                    grown[total + step] = grown.get(total + step, 0) + count
            ways = grown
        observed = abs(int(sum(gaps) * 60))
        hits = sum(count for total, count in ways.items() if abs(total) >= observed)

        assert sign_flip(gaps) == hits / 2 ** len(sizes)

    def test_beyond_three_hundred_changes_patterns_are_drawn(self):
        gaps = [Fraction(step, 5) for step in default_rng(5).integers(-5, 7, 400).tolist()]
        exact = sign_flip([gap for gap in gaps if gap][:290])
        drawn = sign_flip(gaps)
        normal = 2 * stats.norm.sf(
            abs(float(sum(gaps))) / float(sum(gap * gap for gap in gaps)) ** 0.5
        )

        assert 0 < exact < 1
        assert (drawn * (PATTERNS + 1)) % 1 == pytest.approx(0, abs=1e-6)
        assert drawn == pytest.approx(normal, abs=0.02)

    def test_a_p_value_is_never_zero(self):
        assert sign_flip([Fraction(k % 3 + 1, 3) for k in range(1000)]) == 1 / (PATTERNS + 1)

    def test_awkward_fractions_fall_back_on_patterns(self):
        primes = (9973, 9967, 9949, 9941, 9931, 9929, 9923, 9907, 9901, 9887, 9883, 9871, 9859)
        gaps = [Fraction(1, prime) for prime in primes]

        assert sign_flip(gaps) == pytest.approx(2 / 2**13, abs=0.001)

    def test_clusters_flip_as_one(self):
        gaps = [1, 1, 1, -1, 1, 1]

        assert sign_flip(gaps, ["a", "a", "a", None, "b", "b"]) == counted_by_hand(
            [Fraction(3), Fraction(-1), Fraction(2)]
        )
        assert sign_flip([1, -1], ["a", "a"]) == 1

    @given(
        gaps=st.lists(st.fractions(-1, 1, max_denominator=6), max_size=25),
        data=st.data(),
    )
    def test_properties(self, gaps, data):
        p = sign_flip(gaps)
        shuffled = data.draw(st.permutations(gaps))

        assert 0 < p <= 1
        assert sign_flip(shuffled) == p
        assert sign_flip([-gap for gap in gaps]) == p
        assert sign_flip([*gaps, 0, 0, 0]) == p
        assert sign_flip([gap * 7 for gap in gaps]) == p

    def test_drawn_patterns_don_t_know_order(self):
        gaps = default_rng(11).normal(0.1, 1, 350).tolist()

        assert sign_flip(gaps[::-1]) == sign_flip(gaps) == sign_flip(sorted(gaps))


class TestRatios:
    def test_equal_denominators_leave_a_sign_flip(self):
        before = [(k, 3) for k in FOUND_BEFORE]
        after = [(k, 3) for k in FOUND_AFTER]

        assert ratio_test(before, after) == 18 / 512

    def test_shares_may_be_floats(self):
        before = [(k / 3, 1.0) for k in FOUND_BEFORE]
        after = [(k / 3, 1.0) for k in FOUND_AFTER]

        assert ratio_test(before, after) == 18 / 512

    def test_other_denominators_are_swapped_with_their_numerators(self):
        before, after = [(0, 3), (1, 2), (0, 1)], [(1, 1), (1, 1), (0, 3)]

        assert ratio_test(before, after) == swap_test(before, after, lambda s: s[0] / s[1])

    def test_clusters_stay_together(self):
        before, after = [(0, 1), (0, 1), (1, 1)], [(1, 1), (1, 1), (0, 1)]

        assert ratio_test(before, after, ["a", "a", "b"]) == 1


class TestSwap:
    def test_printed_value(self):
        before = [(Fraction(k, 3), 1, 0, 1) for k in FOUND_BEFORE]
        after = [(Fraction(k, 3), 1, r, 1) for k, r in zip(FOUND_AFTER, REFUSED_AFTER, strict=True)]

        assert swap_test(before, after, joined) == 128 / 4096

    @given(
        pairs=st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans(), st.booleans()),
            min_size=1,
            max_size=6,
        )
    )
    def test_brute_force_agrees(self, pairs):
        before = [(Fraction(c, 2), 1, int(r), 1) for c, _, r, _ in pairs]
        after = [(Fraction(d, 2), 1, int(s), 1) for _, d, _, s in pairs]

        def gap(olds: Sequence[tuple[Number, ...]], news: Sequence[tuple[Number, ...]]) -> float:
            columns = [
                tuple(float(sum(c)) for c in zip(*rows, strict=True)) for rows in (olds, news)
            ]
            return abs(joined(columns[1]) - joined(columns[0]))

        observed = gap(before, after)
        hits = 0
        for swaps in product((False, True), repeat=len(pairs)):
            olds = [n if s else o for s, o, n in zip(swaps, before, after, strict=True)]
            news = [o if s else n for s, o, n in zip(swaps, before, after, strict=True)]
            hits += gap(olds, news) >= observed - 1e-12

        assert swap_test(before, after, joined) == hits / 2 ** len(pairs)

    @given(gaps=st.lists(st.integers(-3, 3), max_size=20))
    def test_on_a_plain_sum_it_is_the_sign_flip_test(self, gaps):
        before = [(0, 1)] * len(gaps)
        after = [(gap, 1) for gap in gaps]
        p = swap_test(before, after, first) if gaps else 1.0

        assert p == pytest.approx(sign_flip(gaps), abs=0.02)

    def test_clusters_move_as_one(self):
        before = [(1, 1), (1, 1), (0, 1)]
        after = [(0, 1), (0, 1), (1, 1)]

        assert swap_test(before, after, first, ["a", "a", "b"]) == 1
        assert swap_test(before[:2], after[:2], first, ["a", "a"]) == 1
        assert swap_test(before[:2], after[:2], first) == 0.5

    def test_drawn_patterns_come_near_the_exact_share(self):
        gaps = default_rng(2).integers(-2, 4, 100).tolist()
        drawn = swap_test([(0, 1)] * 100, [(gap, 1) for gap in gaps], first)

        assert drawn == pytest.approx(sign_flip(gaps), abs=0.02)

    def test_order_never_matters(self):
        rows = default_rng(4).integers(0, 6, (60, 3)).tolist()
        results = [
            swap_test(
                [(Fraction(x, 5), 1, z % 2, 1) for x, _, z in some],
                [(Fraction(y, 5), 1, 0, 1) for _, y, _ in some],
                joined,
            )
            for some in (rows, rows[::-1], sorted(rows))
        ]

        assert results[0] == results[1] == results[2]


class TestHolm:
    def test_printed_values(self):
        assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
        assert holm([18 / 512, 0.5]) == pytest.approx([0.0703125, 0.5])

    def test_nothing_to_adjust(self):
        assert holm([]) == []
        assert holm([0.2]) == [0.2]

    @given(p_values=st.lists(st.floats(0, 1), max_size=8))
    def test_properties(self, p_values):
        adjusted = holm(p_values)

        assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
        assert sorted(adjusted) == [q for _, q in sorted(zip(p_values, adjusted, strict=True))]


class TestVerdict:
    @pytest.mark.parametrize(
        ("difference", "p", "mde", "lower_is_better", "expected"),
        [
            (-0.2222, 18 / 512, 0.2099, False, "worse"),
            (-0.2222, 0.0703, 0.2099, False, "too small to tell"),
            (0.1667, 0.5, 0.3857, True, "too small to tell"),
            (0.175, 0.0391, 0.1978, False, "better"),
            (0.175, 0.0391, 0.1978, True, "worse"),
            (-0.175, 0.0391, 0.1978, True, "better"),
            (0, 1, 0.0943, False, "too small to tell"),
            (0, 1, 0.0040, False, "no evidence of a difference"),
            (-0.005, 0.8450, 0.0358, False, "no evidence of a difference"),
            (0.1, 0.3, None, False, "too small to tell"),
        ],
    )
    def test_words(self, difference, p, mde, lower_is_better, expected):
        assert judge(difference, p, mde, lower_is_better=lower_is_better) == expected

    def test_a_wider_margin_needs_less(self):
        assert judge(0.01, 0.6, 0.08, margin=0.1) == "no evidence of a difference"
