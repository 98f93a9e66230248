"""Transcripts, one dialogue after the other → what `summary.json` says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.metrics.keywords import STOP_REASONS
from pytest_experiment_profiler.metrics.refusal import version
from pytest_experiment_profiler.pricing import count_tokens, price_usd, prices_as_of
from pytest_experiment_profiler.statistics import (
    Absent,
    Estimate,
    Unit,
    geometric_mean,
    geometric_mean_interval,
    join_repeats,
    kind_of,
    ratio,
    ratio_interval,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_experiment_profiler.experiment import Reply, Transcript, Turn, Value
    from pytest_experiment_profiler.metrics.own import Own
    from pytest_experiment_profiler.records import Record

COVERAGES = ("fact_coverage", "fact_coverage_answered")

TAGGED = ("fact_coverage", "refusal_rate")
"""Metrics that are also told by tag of the dataset."""

RESERVED = frozenset(
    {"schema_version", "experiment_id", "model", "client", "status", "geometric_mean", "metrics"}
    | {"counts", "intervals", "no_interval", "tokens", "cost", "gates", "comparison"}
    | {"answered_by", "by_tag", "refusals", "provenance", "metric_errors"}
    | {"baseline", "pairs", "left_out", "notes"}
    | {"dialogue_id", "repeat", "outcome", "facts", "refusal"}
    | {"max_error_rate", "max_cost_usd", "inconclusive", "dialogue"}
)
"""Names that an own metric can't have: keys of a summary, a comparison, scores and gates."""


@dataclass(slots=True)
class Series:
    """A metric's part of each dialogue: many dialogues have the same, which is kept once."""

    counts: Counter[Unit] = field(default_factory=Counter)

    def add(self, unit: Unit, count: int = 1) -> None:
        """Take the part that so many dialogues have, unless there is none."""
        if unit.numerator or unit.denominator:
            self.counts[unit] += count

    def units(self) -> list[Unit]:
        """List the parts."""
        return list(self.counts.elements())

    @property
    def value(self) -> float | None:
        """Give the ratio of the sums; None where there is nothing to divide by."""
        return ratio(self.units())


class Shape(NamedTuple):
    """What many dialogues have in common: each metric's values, one a repeat, and their tags.

    `facts` counts those expected in each repeat.
    """

    values: tuple[tuple[Value, ...], ...]
    facts: tuple[int, ...]
    cluster: str | None = None
    tags: frozenset[str] = frozenset()


@dataclass(slots=True)
class Tally:
    """All that a summary needs of the transcripts, without their texts."""

    shapes: Counter[Shape] = field(default_factory=Counter)
    own: dict[str, Series] = field(default_factory=dict)
    metric_errors: dict[str, str] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    dialogues: int = 0
    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    priced_calls: int = 0
    unpriced_models: set[str] = field(default_factory=set)
    answers: int = 0
    answered_by: set[str] = field(default_factory=set)
    priced: bool = False
    held: int = 0

    def add(self, transcripts: Sequence[Transcript], own: Sequence[Own]) -> None:
        """Count one dialogue: its transcripts and own metrics, one a repeat."""
        self.dialogues += 1
        extra = transcripts[0].dialogue.extra
        cluster = None if extra.get("cluster") is None else str(extra["cluster"])
        tags = frozenset(extra.get("tags", ()))
        self.shapes[_find_shape(transcripts)._replace(cluster=cluster, tags=tags)] += 1
        for name, unit in _join_own(own).items():
            self.own.setdefault(name, Series()).add(unit._replace(cluster=cluster))
        for measured in own:
            for name, error in measured.errors.items():
                where = transcripts[0].dialogue.dialogue_id
                self.metric_errors.setdefault(name, f"{where}: {error}")
        for transcript in transcripts:
            self.errors += transcript.outcome == "error"
            self.held += transcript.outcome != "not_run"
            for turn in transcript.turns:
                self._count_call(turn)
            self._count_refusals(transcript)

    def list_series(self) -> dict[str, Series]:
        """Give the parts of all metrics, the own ones last."""
        series = {name: Series() for name in METRICS}
        for shape, count in self.shapes.items():
            for name, unit in _join(shape).items():
                series[name].add(unit._replace(cluster=shape.cluster), count)
        return series | self.own

    def list_tags(self) -> dict[str, dict[str, Any]]:
        """Count the dialogues of each tag, and give the metrics' values there."""
        dialogues: Counter[str] = Counter()
        series: dict[str, dict[str, Series]] = {}
        for shape, count in self.shapes.items():
            dialogues.update(dict.fromkeys(shape.tags, count))
            units = _join(shape)
            for tag in shape.tags:
                for name in TAGGED:
                    series.setdefault(tag, {}).setdefault(name, Series()).add(units[name], count)
        return {
            tag: {"dialogues": dialogues[tag]} | {name: one.value for name, one in found.items()}
            for tag, found in sorted(series.items())
        }

    def _count_refusals(self, transcript: Transcript) -> None:
        replies = [turn.reply for turn in transcript.turns if turn.reply]
        for reply, refusal in zip(replies, transcript.refusals or (), strict=False):
            if refusal.label == "full":
                by_provider = (reply.stop_reason or "").casefold() in STOP_REASONS
                self.refusals["by_provider" if by_provider else "by_text"] += 1
            elif refusal.label == "partial":
                self.refusals["partial"] += 1

    def _count_call(self, turn: Turn) -> None:
        self.calls += 1
        if turn.reply is None:
            return
        self.answers += 1
        self.answered_by.add(str(turn.reply.model or turn.prompt.model))
        sent, received = count_tokens(turn.reply.usage)
        self.input_tokens += sent
        self.output_tokens += received
        if self.priced:
            self._count_cost(turn, turn.reply)

    def _count_cost(self, turn: Turn, reply: Reply) -> None:
        at = datetime.fromtimestamp(turn.sent_at, UTC) if turn.sent_at else None
        price = price_usd(reply.model or turn.prompt.model, reply.usage, at)
        if price is None:
            self.unpriced_models.add(str(reply.model or turn.prompt.model))
        else:
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


def join_metrics(transcripts: Sequence[Transcript], own: Sequence[Own]) -> dict[str, Unit]:
    """Give a dialogue's part of every metric, from its transcripts, one a repeat."""
    return _join(_find_shape(transcripts)) | _join_own(own)


def _find_shape(transcripts: Sequence[Transcript]) -> Shape:
    values = tuple([tuple([metric(t) for t in transcripts]) for metric in METRICS.values()])
    return Shape(values, tuple([len(t.facts or ()) for t in transcripts]))


def _join(shape: Shape) -> dict[str, Unit]:
    found = dict(zip(METRICS, shape.values, strict=True))
    units = {name: join_repeats(values) for name, values in found.items()}
    for name in COVERAGES:
        counted = zip(shape.facts, found[name], strict=True)
        facts = sum(count for count, value in counted if value is not None)
        units[name] = Unit(*units[name][:2], float(facts) or None)
    return units


def _join_own(own: Sequence[Own]) -> dict[str, Unit]:
    names = {name for measured in own for name in measured.values}
    return {name: join_repeats([one.values.get(name) for one in own]) for name in names}


def measure_dialogue(
    transcripts: Sequence[Transcript], own: Sequence[Own]
) -> dict[str, float | None]:
    """Give one dialogue's own value of every metric."""
    values = {name: ratio([unit]) for name, unit in join_metrics(transcripts, own).items()}
    both = geometric_mean(values["fact_coverage"], values["refusal_rate"])
    return values | {"geometric_mean": both}


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
    metrics = {name: one.value for name, one in series.items()}
    metrics["geometric_mean"] = geometric_mean(metrics["fact_coverage"], metrics["refusal_rate"])
    metrics |= dict.fromkeys(failed)
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
    found |= dict.fromkeys(failed, Absent("the metric failed"))
    found["geometric_mean"] = _join_intervals(found["fact_coverage"], found["refusal_rate"])
    return found


def _estimate(name: str, series: Series) -> Estimate | Absent:
    units = series.units()
    return ratio_interval(units, kind="proportion" if name in METRICS else kind_of(units))


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
