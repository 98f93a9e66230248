"""Own metrics: what counts as a value, and what a metric may do wrong."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.metrics.own import LARGEST, SMALLEST, check_value, measure
from pytest_experiment_profiler.statistics import (
    join_repeats,
    kind_of,
    paired_difference,
    ratio,
    ratio_interval,
)
from tests.builders import make_transcript, make_turn


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (None, None),
        (2, 2.0),
        (0.5, 0.5),
        (-3.5, -3.5),
        (True, 1.0),
        (Fraction(1, 4), 0.25),
        (np.float32(1.5), 1.5),
        (np.int64(3), 3.0),
        (np.bool_(1), 1.0),
        (np.array(0.5), 0.5),
        (Decimal("0.5"), 0.5),
        ((np.bool_(0), np.array(2)), (0.0, 2.0)),
        ((1, 2), (1.0, 2.0)),
        ((0, 0), (0.0, 0.0)),
        ((-1.5, 1e-9), (-1.5, 1e-9)),
    ],
)
def test_a_value(given, value):
    found = check_value(given)

    assert found == value
    assert type(found) in {float, tuple, type(None)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("5", "not str"),
        (("1", "2"), "not str"),
        ([1, 2], "not list"),
        ({"value": 1}, "not dict"),
        (1j, "not complex"),
        ((None, 1), "not NoneType"),
        (((1, 2), 3), "not tuple"),
        (np.array([1.0, 2.0]), "array"),
        ((1,), "not 1 of them"),
        ((1, 2, 3), "not 3 of them"),
        (math.nan, "not finite"),
        ((1, math.nan), "not finite"),
        (-math.inf, "not finite"),
        (1e308, "beyond 1e+60"),
        (-(10**400), "beyond 1e+60"),
        ((1, -1), "a denominator is 0 or at least 1e-60"),
        ((1, 5e-324), "a denominator is 0 or at least 1e-60"),
    ],
)
def test_no_value(given, said):
    with pytest.raises((TypeError, ValueError), match=said.replace("+", r"\+")):
        check_value(given)


NUMBERS = st.floats(-LARGEST, LARGEST)
VALUES = st.one_of(
    NUMBERS,
    st.none(),
    st.tuples(NUMBERS, st.one_of(st.just(0.0), st.floats(SMALLEST, LARGEST))),
)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=3), max_size=12))
def test_whatever_is_a_value_can_be_summed_up(dialogues):
    units = [join_repeats(map(check_value, values)) for values in dialogues]
    value = ratio(units)

    assert value is None or math.isfinite(value)
    ratio_interval(units, kind=kind_of(units))
    paired_difference(units, units[::-1], kind=kind_of(units))


def leave(_):
    sys.exit("out of here")


def test_a_metric_that_ends_the_program_ends_nothing():
    found = measure(make_transcript(make_turn()), {"leaves": leave, "skips": skip, "fine": len_of})

    assert found.values == {"leaves": None, "skips": None, "fine": 12.0}
    assert found.errors == {"leaves": "SystemExit: out of here", "skips": "Skipped: not today"}


def skip(_):
    pytest.skip("not today")


def len_of(transcript):
    return len(transcript.text)


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, 1.0), (0.25, 0.25), ((1, 2), (1.0, 2.0)), ((0, 0), (0.0, 0.0)), (None, None)],
)
def test_refusals_read_by_an_own_metric_are_a_share(given, value):
    metrics = {"refusal_rate": lambda _: given}
    found = measure(make_transcript(make_turn()), metrics)

    assert (found.values, found.errors) == ({"refusal_rate": value}, {})
    assert measure(make_transcript(make_turn(None)), metrics).values == {"refusal_rate": None}


@pytest.mark.parametrize("given", [-0.5, 1.5, (2, 1), (-1, 1)])
def test_what_is_no_share_reads_no_refusals(given):
    found = measure(make_transcript(make_turn()), {"refusal_rate": lambda _: given})

    assert found.values == {"refusal_rate": None}
    assert "refusal_rate is a share from 0 to 1, not " in found.errors["refusal_rate"]


async def later(_):
    return 1.0


def test_an_asynchronous_metric_warns_of_nothing():
    found = measure(make_transcript(make_turn()), {"later": later})  # type: ignore[dict-item]

    assert found.errors["later"].endswith("not coroutine")


def stop(_):
    raise KeyboardInterrupt


def test_ctrl_c_is_no_error_of_a_metric():
    with pytest.raises(KeyboardInterrupt):
        measure(make_transcript(make_turn()), {"stops": stop})
