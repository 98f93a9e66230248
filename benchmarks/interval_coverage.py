"""Simulate how often the 95 % intervals hold the true value, for runs of 5 to 100 dialogues.

Dialogues are beta-binomial: each has a rate of its own, drawn from a Beta(a, b), and its facts or
turns follow that rate. The smaller a + b, the more the parts of one dialogue resemble each other.

    python benchmarks/interval_coverage.py [--runs 20000] [--seed 1]
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pytest_experiment_profiler.statistics import (
    Estimate,
    Unit,
    geometric_mean_interval,
    ratio_interval,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_experiment_profiler.experiment import Interval

Dialogues: TypeAlias = "list[tuple[int, int]]"

SIZES = (5, 10, 30, 100)
BAR = (0.93, 0.98)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A metric, its dialogues (parts found of parts), and the value that a bound should hold."""

    metric: str
    name: str
    draw: Callable[[np.random.Generator, int], Dialogues]
    bound: Callable[[Dialogues], Interval]
    truth: float


def beta_binomial(parts: int, mean: float, spread: float) -> np.ndarray:
    """Give the probability of each count from 0 to `parts`; spread = a + b."""
    a, b = mean * spread, (1 - mean) * spread

    def log_beta(x: float, y: float) -> float:
        return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)

    return np.array(
        [
            math.comb(parts, k) * math.exp(log_beta(k + a, parts - k + b) - log_beta(a, b))
            for k in range(parts + 1)
        ]
    )


def sure(units: list[Unit]) -> Interval:
    """Give the interval of a proportion."""
    result = ratio_interval(units, kind="proportion")
    assert isinstance(result, Estimate)  # noqa: S101 -- a dialogue always counts here
    return result.interval


def coverage(dialogues: Dialogues, facts: int) -> Interval:
    """Bound fact_coverage, given the facts found a dialogue."""
    return sure([Unit(found / facts, 1, facts) for found, _ in dialogues])


def geometric(dialogues: Dialogues, facts: int) -> Interval:
    """Bound geometric_mean, given the facts found and whether refused."""
    refusals = sure([Unit(refused, 1) for _, refused in dialogues])
    return geometric_mean_interval(coverage(dialogues, facts), refusals)


def coverage_setting(facts: int, spread: float) -> Setting:
    """Have 80 % of the facts found."""
    weights = beta_binomial(facts, 0.8, spread)
    return Setting(
        metric="fact_coverage",
        name=f"{facts} facts, a + b = {spread:g}, mean .8",
        draw=lambda rng, n: [(int(k), 0) for k in rng.choice(facts + 1, n, p=weights)],
        bound=lambda dialogues: coverage(dialogues, facts),
        truth=0.8,
    )


def refusal_setting(turns: int, spread: float, rate: float) -> Setting:
    """Have a share of the turns refused."""
    weights = beta_binomial(turns, rate, spread)
    shape = f"{turns} turns, a + b = {spread:g}" if turns > 1 else "1 turn"
    return Setting(
        metric="refusal_rate",
        name=f"{shape}, rate {rate:.2g}".replace("0.", "."),
        draw=lambda rng, n: [(int(k), turns) for k in rng.choice(turns + 1, n, p=weights)],
        bound=lambda dialogues: sure([Unit(k, m) for k, m in dialogues]),
        truth=rate,
    )


def geometric_setting(facts: int, spread: float, rate: float, *, silent: bool) -> Setting:
    """Refuse a share of the dialogues; a silent refusal finds no fact."""
    weights = beta_binomial(facts, 0.8, spread)
    mean = 0.8 * (1 - rate) if silent else 0.8

    def draw(rng: np.random.Generator, n: int) -> Dialogues:
        found = rng.choice(facts + 1, n, p=weights)
        refused = rng.random(n) < rate
        return [
            (0 if silent and r else int(k), int(r)) for k, r in zip(found, refused, strict=True)
        ]

    manner = "find nothing" if silent else "find as much"
    return Setting(
        metric="geometric_mean",
        name=f"{facts} facts, a + b = {spread:g}; {rate:.0%} refuse, {manner}",
        draw=draw,
        bound=lambda dialogues: geometric(dialogues, facts),
        truth=math.sqrt(mean * (1 - rate)),
    )


SETTINGS = (
    coverage_setting(3, 6),
    coverage_setting(5, 2),
    *(refusal_setting(1, 6, rate) for rate in (0.02, 0.05, 0.1, 0.2)),
    refusal_setting(3, 6, 0.2),
    refusal_setting(5, 2, 0.2),
    *(
        geometric_setting(facts, spread, rate, silent=silent)
        for facts, spread in ((3, 6), (5, 2))
        for rate in (0.02, 0.1)
        for silent in (False, True)
    ),
)


def simulate(setting: Setting, dialogues: int, runs: int, rng: np.random.Generator) -> float:
    """Tell how often the interval holds the true value."""
    drawn = setting.draw(rng, dialogues * runs)
    hits = 0
    for start in range(0, len(drawn), dialogues):
        interval = setting.bound(drawn[start : start + dialogues])
        hits += interval.low <= setting.truth <= interval.high
    return hits / runs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20_000, help="simulated runs a figure")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(f"Share of {options.runs} simulated runs whose 95 % interval holds the true value")
    print(f"(* outside {BAR[0]} to {BAR[1]})\n")
    print(f"{'metric':<15} {'dialogues':<46}" + "".join(f"{f'n = {n}':>9}" for n in SIZES))
    for setting in SETTINGS:
        shares = [simulate(setting, n, options.runs, rng) for n in SIZES]
        cells = [f"{share:.3f}{' ' if BAR[0] <= share <= BAR[1] else '*'}" for share in shares]
        print(f"{setting.metric:<15} {setting.name:<46}" + "".join(f"{c:>9}" for c in cells))


if __name__ == "__main__":
    main()
