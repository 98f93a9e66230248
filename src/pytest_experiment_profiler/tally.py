"""Transcripts, one dialogue after the other → what is counted of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.metrics.own import REPLACEABLE
from pytest_experiment_profiler.pricing import count_tokens, price_usd
from pytest_experiment_profiler.statistics import Unit, geometric_mean, join_repeats, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_experiment_profiler.experiment import Reply, Transcript, Turn, Value
    from pytest_experiment_profiler.metrics.own import Own

COVERAGES = ("fact_coverage", "fact_coverage_answered")

TAGGED = ("fact_coverage", "refusal_rate")
"""Metrics that are also told by tag of the dataset."""


@dataclass(slots=True)
class Series:
    """A metric's part of each dialogue: many dialogues have the same, which is kept once."""

    counts: Counter[Unit] = field(default_factory=Counter)

    def add(self, unit: Unit, count: int = 1) -> None:
        """Take the part that so many dialogues have, unless there is none."""
        if unit.numerator or unit.denominator:
            self.counts[unit] += count

    @property
    def value(self) -> float | None:
        """Give the ratio of the sums; None where there is nothing to divide by."""
        return ratio(self.counts)


class Shape(NamedTuple):
    """What many dialogues have in common: in each repeat all metrics' values, and their tags."""

    values: tuple[tuple[Value, ...], ...]
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
        self.shapes[_find_shape(transcripts, own, cluster, tags)] += 1
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
            tag: {"dialogues": dialogues[tag]}
            | {name: None if name in self.metric_errors else found[name].value for name in TAGGED}
            for tag, found in sorted(series.items())
        }

    def _count_refusals(self, transcript: Transcript) -> None:
        replies = [turn.reply for turn in transcript.turns if turn.reply]
        for reply, refusal in zip(replies, transcript.refusals or (), strict=False):
            if refusal.label == "full":
                self.refusals["by_provider" if reply.refused else "by_text"] += 1
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


def join_metrics(transcripts: Sequence[Transcript], own: Sequence[Own]) -> dict[str, Unit]:
    """Give a dialogue's part of every metric, from its transcripts, one a repeat."""
    return _join(_find_shape(transcripts, own)) | _join_own(own)


def _find_shape(
    transcripts: Sequence[Transcript],
    own: Sequence[Own],
    cluster: str | None = None,
    tags: frozenset[str] = frozenset(),
) -> Shape:
    values = [tuple([metric(one) for metric in METRICS.values()]) for one in transcripts]
    if any(REPLACEABLE in measured.values for measured in own):
        values = list(map(_replace, values, own))
    return Shape(tuple(values), cluster, tags)


def _replace(values: Sequence[Value], own: Own) -> tuple[Value, ...]:
    """Let refusals be what a user's own metric says."""
    found = dict(zip(METRICS, values, strict=True))
    refused = found[REPLACEABLE] = own.values.get(REPLACEABLE)
    part = refused[0] if isinstance(refused, tuple) else refused
    found["fact_coverage_answered"] = None if part else found["fact_coverage"]
    return tuple(found.values())


def _join(shape: Shape) -> dict[str, Unit]:
    found = dict(zip(METRICS, zip(*shape.values, strict=True), strict=True))
    units = {name: join_repeats(values) for name, values in found.items()}
    for name in COVERAGES:
        counted = zip(found[name], found["fact_coverage_micro"], strict=True)
        facts = join_repeats(count for value, count in counted if value is not None)
        if facts.denominator:
            share = Fraction(facts.numerator) / Fraction(facts.denominator)
            units[name] = Unit(share, 1, float(facts.denominator))
    return units


def _join_own(own: Sequence[Own]) -> dict[str, Unit]:
    names = {name for measured in own for name in measured.values} - {REPLACEABLE}
    return {name: join_repeats([one.values.get(name) for one in own]) for name in names}


def measure_dialogue(
    transcripts: Sequence[Transcript], own: Sequence[Own]
) -> dict[str, float | None]:
    """Give one dialogue's own value of every metric."""
    values = {name: ratio([unit]) for name, unit in join_metrics(transcripts, own).items()}
    both = geometric_mean(values["fact_coverage"], values["refusal_rate"])
    return values | {"geometric_mean": both}
