"""A user's own metrics: called with care, their values checked."""

from __future__ import annotations

import math
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, SupportsFloat, SupportsIndex

from pytest_experiment_profiler.errors import say_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_experiment_profiler.experiment import Metric, Transcript, Value

REPLACEABLE = "refusal_rate"
"""The metric of ours whose place an own one may take: who reads refusals better names it so."""

LARGEST, SMALLEST = 1e60, 1e-60
"""The largest number of a metric and its smallest denominator: squares of ratios stay finite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """The values of own metrics for one transcript, and why those failed that have an error."""

    values: Mapping[str, Value] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


NONE = Own()
"""What there is where no own metrics are."""


def measure(transcript: Transcript, metrics: Mapping[str, Metric]) -> Own:
    """Call own metrics; one that raises, or gives no value, has the value None and an error."""
    if not metrics:
        return NONE
    values: dict[str, Value] = {}
    errors: dict[str, str] = {}
    for name, metric in metrics.items():
        try:
            value = check_value(metric(transcript))
            values[name] = _check_share(value, transcript) if name == REPLACEABLE else value
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 -- a metric of the user's, which may even exit
            values[name] = None
            errors[name] = f"{type(error).__name__}: {say_error(error)}"
    return Own(values=values, errors=errors)


def _check_share(value: Value, transcript: Transcript) -> Value:
    """Return a share of refusals; none where no reply came back, as errors enter no metric."""
    if not any(turn.reply for turn in transcript.turns):
        return None
    part, whole = value if isinstance(value, tuple) else (value or 0.0, 1.0)
    if not 0 <= part <= whole:
        raise ValueError(f"{REPLACEABLE} is a share from 0 to 1, not {part} of {whole}")
    return value


def check_value(value: object) -> Value:
    """Return a value as it is counted; raise TypeError or ValueError if it is none."""
    if value is None:
        return None
    if not isinstance(value, tuple):
        return _check_number(value)
    if len(value) != 2:  # noqa: PLR2004 -- numerator and denominator
        raise ValueError(
            f"a metric returns a number, None or two numbers, not {len(value)} of them"
        )
    numerator, denominator = map(_check_number, value)
    if denominator and denominator < SMALLEST:
        raise ValueError(f"a denominator is 0 or at least {SMALLEST}, not {denominator}")
    return numerator, denominator


def _check_number(number: object) -> float:
    if isinstance(number, Coroutine):
        number.close()  # nobody awaits it, and under `-W error` a warning of that ends the run
    if not isinstance(number, (SupportsFloat, SupportsIndex)):
        kind = type(number).__name__
        raise TypeError(f"a metric returns a number, None or two numbers, not {kind}")
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not abs(value) <= LARGEST:
        raise ValueError(f"a metric returned a number that is not finite, or beyond {LARGEST}")
    return value
