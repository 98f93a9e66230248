"""Transcripts, one dialogue after the other → what `summary.json` says."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.pricing import price_usd, prices_as_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_experiment_profiler.experiment import Interval, Reply, Transcript, Turn, Value
    from pytest_experiment_profiler.records import Record

RESERVED = frozenset(
    {"schema_version", "experiment_id", "model", "client", "status", "geometric_mean", "metrics"}
    | {
        "counts",
        "intervals",
        "tokens",
        "cost",
        "gates",
        "comparison",
        "provenance",
        "metric_errors",
    }
)
"""Names that an own metric can't have."""


@dataclass(slots=True)
class Series:
    """A metric's numerator and denominator for each dialogue that has a value."""

    numerators: array[float] = field(default_factory=lambda: array("d"))
    denominators: array[float] = field(default_factory=lambda: array("d"))

    def add(self, values: Iterable[Value]) -> None:
        """Take one dialogue's values, one a repeat: counts add up, shares are averaged."""
        pairs = [value for value in values if value is not None]
        counts = [pair for pair in pairs if isinstance(pair, tuple)]
        shares = [share for share in pairs if not isinstance(share, tuple)]
        if counts:
            self._append(math.fsum(n for n, _ in counts), math.fsum(d for _, d in counts))
        elif shares:
            self._append(math.fsum(shares) / len(shares), 1.0)

    def _append(self, numerator: float, denominator: float) -> None:
        self.numerators.append(numerator)
        self.denominators.append(denominator)

    @property
    def value(self) -> float | None:
        """Ratio of the sums; None where there is nothing to divide by."""
        whole = math.fsum(self.denominators)
        return math.fsum(self.numerators) / whole if whole else None


@dataclass(slots=True)
class Tally:
    """All that a summary needs of the transcripts, without their texts."""

    series: dict[str, Series] = field(default_factory=lambda: {name: Series() for name in METRICS})
    own: dict[str, Series] = field(default_factory=dict)
    metric_errors: dict[str, str] = field(default_factory=dict)
    dialogues: int = 0
    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    priced_calls: int = 0
    answers: int = 0
    priced: bool = False
    held: int = 0

    def add(self, transcripts: Sequence[Transcript], own: Sequence[Mapping[str, Value]]) -> None:
        """Count one dialogue: its transcripts and own metrics' values, one a repeat."""
        self.dialogues += 1
        for name, series in self.series.items():
            series.add(METRICS[name](transcript) for transcript in transcripts)
        for name in {name for values in own for name in values}:
            self.own.setdefault(name, Series()).add(values.get(name) for values in own)
        for transcript in transcripts:
            self.errors += transcript.outcome == "error"
            self.held += transcript.outcome != "not_run"
            for turn in transcript.turns:
                self._count_call(turn)

    def _count_call(self, turn: Turn) -> None:
        self.calls += 1
        if turn.reply is None:
            return
        self.answers += 1
        usage = turn.reply.usage
        for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            self.input_tokens += usage.get(key) or 0
        self.output_tokens += usage.get("output_tokens") or 0
        if self.priced:
            self._count_cost(turn, turn.reply)

    def _count_cost(self, turn: Turn, reply: Reply) -> None:
        at = datetime.fromtimestamp(turn.sent_at, UTC) if turn.sent_at else None
        price = price_usd(reply.model or turn.prompt.model, reply.usage, at)
        if price is not None:
            self.cost_usd += price
            self.priced_calls += 1


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
    intervals: Mapping[str, Interval | None]
    tokens: Mapping[str, int]
    cost: Mapping[str, Any]
    gates: Sequence[Record]
    comparison: Record | None
    provenance: Mapping[str, Any]
    metric_errors: Mapping[str, str]


def summarize(run: Record, tally: Tally, *, reused: int = 0) -> Summary:
    """Sum up a run; `run` is what run.json says."""
    metrics = _metrics(tally)
    requested = run["experiment"]["metrics"]
    selected = run["selection"]["selected"]
    dialogues = run["selection"]["dialogues"]
    not_run = selected * run["experiment"]["repeats"] - tally.held
    return Summary(
        experiment_id=run["experiment"]["experiment_id"],
        model=run["experiment"]["model"],
        client=run["client"],
        status="complete" if selected == dialogues and not not_run else "partial",
        shown=tuple(sorted({*requested, *tally.own, *tally.metric_errors})),
        metrics=metrics,
        counts={
            "dialogues": dialogues,
            "selected": selected,
            "calls": tally.calls,
            "errors": tally.errors,
            "not_run": not_run,
            "reused": reused,
        },
        intervals={},
        tokens={"input": tally.input_tokens, "output": tally.output_tokens},
        cost=_cost(tally),
        gates=(),
        comparison=None,
        provenance=run["provenance"],
        metric_errors=dict(tally.metric_errors),
    )


def geometric_mean(coverage: float | None, refusals: float | None) -> float | None:
    """Combine both as sqrt(fact_coverage * (1 - refusal_rate)); None if either is."""
    if coverage is None or refusals is None:
        return None
    return math.sqrt(coverage * (1 - refusals))


def summary_record(summary: Summary) -> Record:
    """Turn a summary into what stands in `summary.json`."""
    return {
        "schema_version": 1,
        "experiment_id": summary.experiment_id,
        "model": summary.model,
        "client": summary.client,
        "status": summary.status,
        **summary.metrics,
        "metrics": list(summary.shown),
        "counts": dict(summary.counts),
        "intervals": {name: _interval(i) for name, i in summary.intervals.items()},
        "tokens": dict(summary.tokens),
        "cost": dict(summary.cost),
        "gates": list(summary.gates),
        "comparison": summary.comparison,
        "metric_errors": dict(summary.metric_errors),
        "provenance": dict(summary.provenance),
    }


def _metrics(tally: Tally) -> dict[str, float | None]:
    metrics = {name: series.value for name, series in (tally.series | tally.own).items()}
    metrics["geometric_mean"] = geometric_mean(metrics["fact_coverage"], metrics["refusal_rate"])
    metrics |= dict.fromkeys(tally.metric_errors)
    first = ("fact_coverage", "geometric_mean", "refusal_rate")
    return {name: metrics.pop(name) for name in first} | metrics


def _cost(tally: Tally) -> dict[str, Any]:
    if not tally.priced or not tally.answers:
        return {"usd": None, "prices_as_of": None}
    whole = tally.priced_calls == tally.answers
    return {
        "usd": float(tally.cost_usd) if whole else None,
        "prices_as_of": prices_as_of(),
        "known_calls": tally.priced_calls,
    }


def _interval(interval: Interval | None) -> Record | None:
    if interval is None:
        return None
    return {
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
        "n": interval.n,
        "method": interval.method,
    }
