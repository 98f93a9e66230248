"""A manifest's gates and a run's numbers → what holds, what doesn't, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from pytest_experiment_profiler.documents import Fault
from pytest_experiment_profiler.statistics import FAILED, Absent
from pytest_experiment_profiler.validation import find_near, suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pytest_experiment_profiler.contrasts import Contrast
    from pytest_experiment_profiler.experiment import Interval
    from pytest_experiment_profiler.records import Record

Outcome: TypeAlias = Literal["passed", "failed", "inconclusive"]

NOT_METRICS = frozenset({"max_error_rate", "max_cost_usd", "inconclusive", "dialogue"})

WHY_NULL = {
    "fact_coverage": "no complete dialogue expects facts",
    "refusal_rate": "no reply came back",
    "geometric_mean": "fact_coverage or refusal_rate has none",
    "error_rate": "nothing was attempted",
    "cost_usd": "the price of a model is unknown",
}
WHY_NULL_ALONE = {
    "fact_coverage": "the dialogue expects no facts or is not complete",
    "refusal_rate": "the dialogue has no reply",
    "geometric_mean": "fact_coverage or refusal_rate has none",
}


class GateResult(NamedTuple):
    """Whether a gate holds, and one sentence that says why.

    `holds` is what counts: an inconclusive gate holds unless the manifest says it fails.
    """

    gate: str
    outcome: Outcome
    holds: bool
    value: float | None
    limit: float | None
    sentence: str


def find_unknown(gates: object, known: Collection[str]) -> Iterator[Fault]:
    """Find the metrics that gates name and that aren't `known`; the gates need not be valid."""
    if not isinstance(gates, Mapping):
        return
    for steps, named, others in (
        (("gates",), gates, NOT_METRICS),
        (("gates", "dialogue"), gates.get("dialogue"), frozenset[str]()),
    ):
        allowed = sorted({*known, *others})
        for name in named if isinstance(named, Mapping) else ():
            if name not in allowed:
                message = f"there is no metric {name!r}{suggest(name, allowed)}"
                yield Fault((*steps, name), message, at_key=True)


def judge_run(
    gates: Mapping[str, Any],
    *,
    metrics: Mapping[str, float | None],
    intervals: Mapping[str, Interval | Absent | None],
    contrasts: Mapping[str, Contrast] | None,
    cost_usd: float | None,
) -> tuple[GateResult, ...]:
    """Judge a whole run; `contrasts` None: there is no baseline, `cost_usd` None: unknown.

    Where there is any gate at all, no call may have failed unless `max_error_rate` allows it.
    """
    if not gates:
        return ()
    results: list[GateResult] = []
    absent = {name: i.reason for name, i in intervals.items() if isinstance(i, Absent)}
    failed = {name: why for name, why in absent.items() if why == FAILED.reason}
    for metric, limits in gates.items():
        if metric in NOT_METRICS:
            continue
        results += _judge_values(metric, limits, metrics, absent | WHY_NULL | failed)
        results += _judge_bounds(metric, limits, intervals.get(metric))
        if "no_regression" in limits and metric in metrics:
            margin = limits["no_regression"]["margin"]
            results.append(_judge_regression(metric, metrics[metric], contrasts, margin))
    most = gates.get("max_error_rate", 0)
    results.append(_judge("max_error_rate", "error_rate", metrics.get("error_rate"), most))
    if "max_cost_usd" in gates:
        results.append(_judge("max_cost_usd", "cost_usd", cost_usd, gates["max_cost_usd"]))
    open_holds = gates.get("inconclusive", "warn") == "warn"
    return tuple(
        result._replace(holds=open_holds) if result.outcome == "inconclusive" else result
        for result in results
    )


def judge_dialogue(
    gates: Mapping[str, Any], metrics: Mapping[str, float | None]
) -> tuple[GateResult, ...]:
    """Judge one dialogue's own values by the gates under `dialogue`."""
    results: list[GateResult] = []
    for metric, limits in gates.get("dialogue", {}).items():
        why = {metric: "the dialogue gives none"} | WHY_NULL_ALONE
        results += _judge_values(metric, limits, metrics, why)
    return tuple(results)


def gate_record(result: GateResult) -> Record:
    """Turn a result into what stands in `summary.json`."""
    return result._asdict()


def _judge_values(
    metric: str,
    limits: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    why_null: Mapping[str, str],
) -> Iterator[GateResult]:
    if metric not in metrics:
        sentence = f"there is no metric {metric}{find_near(metric, metrics)}"
        yield _result(metric, "failed", None, None, sentence)
        return
    for key in ("min", "max"):
        if key in limits:
            why = why_null.get(metric, "no dialogue gave one")
            yield _judge(f"{metric}.{key}", metric, metrics[metric], limits[key], why)


def _judge_bounds(
    metric: str, limits: Mapping[str, Any], interval: Interval | Absent | None
) -> Iterator[GateResult]:
    why = interval.reason if isinstance(interval, Absent) else "there is no interval"
    low, high = None, None
    if interval is not None and not isinstance(interval, Absent):
        low, high = interval.low, interval.high
    for key, name, end in (("min_lower_bound", "lower", low), ("max_upper_bound", "upper", high)):
        if key in limits:
            subject = f"{name} bound of {metric}"
            yield _judge(f"{metric}.{key}", subject, end, limits[key], why)


def _judge(
    gate: str, subject: str, value: float | None, limit: float, why_null: str | None = None
) -> GateResult:
    """Hold a value against a minimum or maximum, told apart by the gate's name."""
    is_minimum = gate.rpartition(".")[2].startswith("min")
    bound = f"its {'minimum' if is_minimum else 'maximum'} of {limit}"
    if value is None:
        why = why_null or WHY_NULL[subject]
        return _result(
            gate, "failed", None, limit, f"{subject} has no value ({why}); {bound} fails"
        )
    if is_minimum:
        passed, relation = value >= limit, "reaches" if value >= limit else "is below"
    else:
        passed, relation = value <= limit, "stays within" if value <= limit else "is above"
    sentence = f"{subject} {_show(value, limit)} {relation} {bound}"
    return _result(gate, "passed" if passed else "failed", value, limit, sentence)


def _show(value: float, limit: float) -> str:
    """Write a value so that it can be told from its limit."""
    short = f"{value:.4f}"
    return short if float(short) != limit or value == limit else repr(value)


def _judge_regression(
    metric: str,
    value: float | None,
    contrasts: Mapping[str, Contrast] | None,
    margin: float,
) -> GateResult:
    """Hold the worse end of a difference's interval against a margin (Blackwelder 1982)."""
    gate = f"{metric}.no_regression"
    if value is None:
        why = WHY_NULL.get(metric, "no dialogue gave one")
        return _result(gate, "failed", None, margin, f"{metric} has no value ({why})")
    contrast = None if contrasts is None else contrasts.get(metric)
    if contrast is None or contrast.difference is None:
        what = "no baseline" if contrasts is None else "nothing in the baseline"
        sentence = f"{metric} has {what} to be compared with"
        return _result(gate, "inconclusive", None, margin, sentence)
    end = contrast.high if contrast.lower_is_better else contrast.low
    reach = f"at worst {end:+.4f}" if end is not None else f"no interval, {contrast.reason}"
    change = f"{metric} changed by {contrast.difference:+.4f} ({reach})"
    if end is not None and (end if contrast.lower_is_better else -end) <= margin:
        return _result(gate, "passed", end, margin, f"{change}, within its margin of {margin}")
    sentence = f"{change}, margin {margin}: {contrast.words}"
    if contrast.verdict == "worse":
        return _result(gate, "failed", end, margin, sentence)
    return _result(gate, "inconclusive", end, margin, sentence)


def _result(
    gate: str, outcome: Outcome, value: float | None, limit: float | None, sentence: str
) -> GateResult:
    return GateResult(
        gate=gate,
        outcome=outcome,
        holds=outcome == "passed",
        value=value,
        limit=limit,
        sentence=sentence,
    )
