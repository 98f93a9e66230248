"""What was counted of a run → what `summary.json` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.metrics.refusal import version
from pytest_experiment_profiler.pricing import prices_as_of
from pytest_experiment_profiler.statistics import (
    FAILED,
    Absent,
    Estimate,
    geometric_mean,
    geometric_mean_interval,
    kind_of,
    ratio_interval,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_experiment_profiler.records import Record
    from pytest_experiment_profiler.tally import Series, Tally

RESERVED = frozenset(
    {"schema_version", "experiment_id", "model", "client", "status", "geometric_mean", "metrics"}
    | {"counts", "intervals", "no_interval", "tokens", "cost", "gates", "comparison"}
    | {"answered_by", "by_tag", "refusals", "provenance", "metric_errors"}
    | {"baseline", "pairs", "left_out", "notes"}
    | {"dialogue_id", "repeat", "outcome", "facts", "refusal"}
    | {"max_error_rate", "max_cost_usd", "inconclusive", "dialogue"}
)
"""Names that an own metric can't have: keys of a summary, a comparison, scores and gates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What `summary.json` says; `metrics` holds all values, `shown` the table's rows."""

    experiment_id: str
    model: str
    client: str
    status: str
    shown: tuple[str, ...]
    metrics: Mapping[str, float | None]
    counts: Mapping[str, int]
    intervals: Mapping[str, Estimate | Absent]
    tokens: Mapping[str, int]
    cost: Mapping[str, Any]
    gates: Sequence[Record] = ()
    comparison: Record | None = None
    provenance: Mapping[str, Any]
    metric_errors: Mapping[str, str]
    by_tag: Mapping[str, Mapping[str, float | None]]
    answered_by: Sequence[str]
    refusals: Mapping[str, int]


def summarize(run: Record, tally: Tally, *, reused: int = 0) -> Summary:
    """Sum up a run; `run` is what run.json says."""
    series = tally.list_series()
    metrics = _metrics(series, tally.metric_errors)
    shown = tuple(sorted({*run["experiment"]["metrics"], *tally.own, *tally.metric_errors}))
    selected = run["selection"]["selected"]
    dialogues = run["selection"]["dialogues"]
    not_run = selected * run["experiment"]["repeats"] - tally.held
    return Summary(
        experiment_id=run["experiment"]["experiment_id"],
        model=run["experiment"]["model"],
        client=run["client"],
        status="complete" if selected == dialogues and not not_run else "partial",
        shown=shown,
        metrics=metrics,
        counts={
            "dialogues": dialogues,
            "selected": selected,
            "calls": tally.calls,
            "errors": tally.errors,
            "not_run": not_run,
            "reused": reused,
        },
        intervals=_intervals(series, tally.metric_errors),
        tokens={"input": tally.input_tokens, "output": tally.output_tokens},
        cost=_cost(run["client"], tally),
        provenance=run["provenance"] | _name_readers(run["experiment"]),
        metric_errors=dict(tally.metric_errors),
        refusals={kind: tally.refusals[kind] for kind in ("by_provider", "by_text", "partial")},
        answered_by=sorted(tally.answered_by),
        by_tag=tally.list_tags(),
    )


def summary_record(summary: Summary) -> Record:
    """Turn a summary into what stands in `summary.json`."""
    return {
        "schema_version": 1,
        "experiment_id": summary.experiment_id,
        "model": summary.model,
        "answered_by": list(summary.answered_by),
        "client": summary.client,
        "status": summary.status,
        **summary.metrics,
        "metrics": list(summary.shown),
        "counts": dict(summary.counts),
        "intervals": {name: _interval(i) for name, i in summary.intervals.items()},
        "no_interval": {
            name: i.reason for name, i in summary.intervals.items() if isinstance(i, Absent)
        },
        "by_tag": {tag: dict(values) for tag, values in summary.by_tag.items()},
        "refusals": dict(summary.refusals),
        "tokens": dict(summary.tokens),
        "cost": dict(summary.cost),
        "gates": list(summary.gates),
        "comparison": summary.comparison,
        "metric_errors": dict(summary.metric_errors),
        "provenance": dict(summary.provenance),
    }


def _metrics(series: Mapping[str, Series], failed: Mapping[str, str]) -> dict[str, float | None]:
    metrics = {name: one.value for name, one in series.items()} | dict.fromkeys(failed)
    metrics["geometric_mean"] = geometric_mean(metrics["fact_coverage"], metrics["refusal_rate"])
    first = ("fact_coverage", "geometric_mean", "refusal_rate")
    return {name: metrics.pop(name) for name in first} | metrics


def _name_readers(experiment: Record) -> Record:
    """Say how answers were read."""
    return {
        "definitions_version": name_definitions(),
        "refusal_weights": version(),
        "fact_mode": experiment["fact_mode"],
        "detector": experiment["detector"],
    }


def _cost(client: str, tally: Tally) -> dict[str, Any]:
    if not tally.priced or not tally.answers:
        return {"usd": None, "prices_as_of": None}
    whole = tally.priced_calls == tally.answers
    usd = float(tally.cost_usd) if whole else None
    if client == "replay":
        return {"usd": 0.0, "prices_as_of": prices_as_of(), "avoided_usd": usd}
    return {
        "usd": usd,
        "prices_as_of": prices_as_of(),
        "known_calls": tally.priced_calls,
        "unknown_models": sorted(tally.unpriced_models),
    }


def _intervals(
    series: Mapping[str, Series], failed: Mapping[str, str]
) -> dict[str, Estimate | Absent]:
    found = {name: _estimate(name, one) for name, one in series.items()}
    found |= dict.fromkeys(failed, FAILED)
    found["geometric_mean"] = _join_intervals(found["fact_coverage"], found["refusal_rate"])
    return found


def _estimate(name: str, series: Series) -> Estimate | Absent:
    kind = "proportion" if name in METRICS else kind_of(series.counts)
    return ratio_interval(series.counts, kind=kind)


def _join_intervals(coverage: Estimate | Absent, refusals: Estimate | Absent) -> Estimate | Absent:
    if isinstance(coverage, Absent):
        return coverage
    if isinstance(refusals, Absent):
        return refusals
    interval = geometric_mean_interval(coverage.interval, refusals.interval)
    return Estimate(interval, min(coverage.n_eff, refusals.n_eff))


def _interval(estimate: Estimate | Absent) -> Record | None:
    if isinstance(estimate, Absent):
        return None
    interval = estimate.interval
    values: Record = {
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
        "n": interval.n,
        "n_eff": estimate.n_eff,
        "method": interval.method,
    }
    return values | ({"warning": estimate.warning} if estimate.warning else {})
