"""Units of two runs, paired by dialogue → per metric a difference, how sure it is, a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.pairing import MARGIN, holm, judge, ratio_test, swap_test
from pytest_experiment_profiler.statistics import (
    Absent,
    Unit,
    geometric_mean,
    geometric_mean_difference,
    kind_of,
    paired_difference,
    ratio,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_experiment_profiler.pairing import Number, Sums, Verdict
    from pytest_experiment_profiler.statistics import Difference, Kind

COVERAGE, REFUSALS, BOTH = BUILT_IN = ("fact_coverage", "refusal_rate", "geometric_mean")
NOTHING = Unit(0, 0)
LEAST_SHOWN = 0.0001


class Pair(NamedTuple):
    """One dialogue in both runs: its part of each metric, by name."""

    dialogue_id: str
    baseline: Mapping[str, Unit]
    candidate: Mapping[str, Unit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """One metric in both runs, over the `pairs` dialogues that count in both.

    `gained` and `lost` are the ids of the dialogues that got better and worse. Where `low`, `high`
    and `mde` (the least difference that the run can detect) are None, `reason` says why. Where
    there is no difference, nothing was tested: `p` is None as well.
    """

    metric: str
    kind: Kind
    lower_is_better: bool
    pairs: int
    baseline: float | None
    candidate: float | None
    difference: float | None
    low: float | None
    high: float | None
    mde: float | None
    method: str | None
    reason: str | None
    p: float | None
    p_adjusted: float | None
    verdict: Verdict
    gained: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Say the difference and the verdict in one line."""
        if self.difference is None or self.p is None or self.p_adjusted is None:
            return f"{self.metric}: no difference to judge, {self.reason}"
        reach = f"no interval, {self.reason}"
        if self.low is not None and self.high is not None:
            reach = f"95 % interval {self.low:+.4f} to {self.high:+.4f}"
        adjusted = f", adjusted {_say(self.p_adjusted)}" if self.p_adjusted != self.p else ""
        return (
            f"{self.metric}: {self.baseline:.4f} -> {self.candidate:.4f} "
            f"({self.difference:+.4f}, {reach}; p {_say(self.p)}{adjusted}; n = {self.pairs}): "
            f"{self.words}"
        )

    @property
    def words(self) -> str:
        """Give the verdict, with what the run could have shown where it shows nothing."""
        if self.verdict != "too small to tell" or self.mde is None:
            return self.verdict
        if self.kind == "mean":
            return f"{self.verdict} (this run can detect {self.mde:.3g} or more)"
        if self.mde > 1:
            return f"{self.verdict} (so few dialogues can't show any difference)"
        return f"{self.verdict} (this run can detect {100 * self.mde:.1f} points or more)"


def _say(p: float) -> str:
    """Give a p-value with four decimals: it may be small, but is never 0."""
    return f"{p:.4f}" if p >= LEAST_SHOWN else f"< {LEAST_SHOWN}"


class _Run(NamedTuple):
    """A run's units of both metrics, in one order of dialogues."""

    coverage: Sequence[Unit]
    refusals: Sequence[Unit]


class _Evidence(NamedTuple):
    """What the pairs say of a metric; `rises`: by how much each dialogue's own value rose."""

    kind: Kind
    baseline: float | None
    candidate: float | None
    difference: Difference | Absent
    p: float | None
    rises: Mapping[str, Number]


def contrast_all(
    pairs: Sequence[Pair], metrics: Iterable[str], gates: Mapping[str, Any]
) -> dict[str, Contrast]:
    """Compare metrics and judge them by the gates."""
    return judge_all({metric: _contrast(metric, pairs) for metric in metrics}, gates)


def judge_all(contrasts: Mapping[str, Contrast], gates: Mapping[str, Any]) -> dict[str, Contrast]:
    """Judge metrics, those that carry a gate by p-values adjusted for their number.

    A metric's gate also names its margin, and says that lower is better if it only has a maximum.
    """
    gated = {name: c.p for name, c in contrasts.items() if name in gates and c.p is not None}
    adjusted = dict(zip(gated, holm(list(gated.values())), strict=True))
    return {
        metric: _judged(
            replace(contrast, p_adjusted=adjusted.get(metric, contrast.p)), _limits(gates, metric)
        )
        for metric, contrast in contrasts.items()
    }


def _limits(gates: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    limits = gates.get(metric)
    return limits if isinstance(limits, Mapping) else {}


def _judged(contrast: Contrast, limits: Mapping[str, Any]) -> Contrast:
    if _is_lower_better(contrast.metric, limits) != contrast.lower_is_better:
        contrast = replace(
            contrast,
            lower_is_better=not contrast.lower_is_better,
            gained=contrast.lost,
            lost=contrast.gained,
        )
    verdict = judge(
        contrast.difference,
        contrast.p_adjusted,
        contrast.mde,
        margin=limits.get("no_regression", {}).get("margin", MARGIN),
        lower_is_better=contrast.lower_is_better,
    )
    return replace(contrast, verdict=verdict)


def _contrast(metric: str, pairs: Sequence[Pair]) -> Contrast:
    evidence = _weigh_both(pairs) if metric == BOTH else _weigh(metric, pairs)
    found = evidence.difference
    known = None if isinstance(found, Absent) else found
    up = tuple(name for name, rise in evidence.rises.items() if rise > 0)
    down = tuple(name for name, rise in evidence.rises.items() if rise < 0)
    return Contrast(
        metric=metric,
        kind=evidence.kind,
        lower_is_better=False,
        pairs=len(evidence.rises),
        baseline=evidence.baseline,
        candidate=evidence.candidate,
        difference=_minus(evidence.candidate, evidence.baseline),
        low=known and known.low,
        high=known and known.high,
        mde=known and known.mde,
        method=known and known.method,
        reason=found.reason if isinstance(found, Absent) else None,
        p=evidence.p,
        p_adjusted=evidence.p,
        verdict="too small to tell",
        gained=up,
        lost=down,
    )


def _minus(candidate: float | None, baseline: float | None) -> float | None:
    return None if candidate is None or baseline is None else candidate - baseline


def _is_lower_better(metric: str, limits: Mapping[str, Any]) -> bool:
    low = not limits.keys().isdisjoint({"max", "max_upper_bound"})
    high = not limits.keys().isdisjoint({"min", "min_lower_bound"})
    return metric == REFUSALS if low == high else low


def _weigh(metric: str, pairs: Sequence[Pair]) -> _Evidence:
    """Compare a ratio of sums over the pairs that count in both runs."""
    rows = {
        pair.dialogue_id: (pair.baseline[metric], pair.candidate[metric])
        for pair in pairs
        if pair.baseline.get(metric, NOTHING).denominator
        and pair.candidate.get(metric, NOTHING).denominator
    }
    before, after = [old for old, _ in rows.values()], [new for _, new in rows.values()]
    kind: Kind = "proportion" if metric in BUILT_IN else kind_of([*before, *after])
    return _Evidence(
        kind=kind,
        baseline=ratio(before),
        candidate=ratio(after),
        difference=paired_difference(before, after, kind=kind),
        p=ratio_test(_parts(before), _parts(after), [u.cluster for u in after]) if rows else None,
        rises={
            name: new.numerator / new.denominator - old.numerator / old.denominator
            for name, (old, new) in rows.items()
        },
    )


def _parts(units: Sequence[Unit]) -> list[tuple[Number, Number]]:
    return [(unit.numerator, unit.denominator) for unit in units]


def _weigh_both(pairs: Sequence[Pair]) -> _Evidence:
    """Compare the geometric mean of coverage and of what isn't refused."""
    pairs = [p for p in pairs if p.baseline[REFUSALS][1] and p.candidate[REFUSALS][1]]
    rows = [(_both(pair.baseline), _both(pair.candidate)) for pair in pairs]
    runs = tuple(_Run([row[i][0] for row in rows], [row[i][1] for row in rows]) for i in (0, 1))
    baseline, candidate = (geometric_mean(ratio(c), ratio(r)) for c, r in runs)
    known = baseline is not None and candidate is not None
    before, after = ([(*c[:2], *r[:2]) for c, r in zip(*run, strict=True)] for run in runs)
    clusters = [unit.cluster for unit in runs[1].refusals]
    return _Evidence(
        kind="proportion",
        baseline=baseline,
        candidate=candidate,
        difference=geometric_mean_difference(*runs),
        p=swap_test(before, after, _value_of_both, clusters) if known else None,
        rises={
            pair.dialogue_id: _yield(*new) - _yield(*old)
            for pair, (old, new) in zip(pairs, rows, strict=True)
        },
    )


def _both(units: Mapping[str, Unit]) -> tuple[Unit, Unit]:
    return units[COVERAGE], units[REFUSALS]


def _value_of_both(sums: Sums) -> float:
    found, expected, refused, replies = sums
    return math.sqrt(max(0.0, found / expected * (1 - refused / replies)))


def _yield(coverage: Unit, refusals: Unit) -> Number:
    """Give what one dialogue yields: its coverage, less what it refuses."""
    kept = 1 - refusals.numerator / refusals.denominator
    return kept * (coverage.numerator / coverage.denominator if coverage.denominator else 1)
