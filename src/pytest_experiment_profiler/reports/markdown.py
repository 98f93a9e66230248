"""A summary, and its worst dialogues → Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_experiment_profiler.reports.facts import say_fact
from pytest_experiment_profiler.reports.plain import make_plain, shorten
from pytest_experiment_profiler.reports.table import format_value, list_intervals, list_notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_experiment_profiler.records import Record

WORST = 10
EVIDENCE_LIMIT = 120


def render_markdown(summary: Record, scores: Iterable[Record] = ()) -> str:
    """Write a summary as Markdown; of the lines of scores.jsonl the worst are listed."""
    return "\n".join(_lines(summary, scores))


def _lines(summary: Record, scores: Iterable[Record]) -> Iterator[str]:
    yield f"### Experiment `{summary['experiment_id']}`"
    yield ""
    yield "| Metric | Value | 95 % interval | n |"
    yield "| --- | ---: | --- | ---: |"
    for name in summary["metrics"]:
        interval = summary["intervals"].get(name)
        reach = f"{interval['low']:.4f} to {interval['high']:.4f}" if interval else "none"
        n = interval["n"] if interval else ""
        yield f"| {_escape(name)} | {format_value(summary[name])} | {reach} | {n} |"
    yield ""
    in_table = set(list_intervals(summary))
    for note in list_notes(summary):
        if note not in in_table:
            yield f"- {_escape(note)}"
    yield from _worst(scores)


def _worst(scores: Iterable[Record]) -> Iterator[str]:
    """List the dialogues that went wrong: errors first, then the least coverage, and refusals."""
    ranked = sorted((key, i, score) for i, score in enumerate(scores) if (key := _rank(score)))
    if not ranked:
        return
    yield ""
    shown = f" ({WORST} of {len(ranked)})" if len(ranked) > WORST else ""
    yield f"| Worst dialogues{shown} | Outcome | Coverage | Missing facts | Refusal |"
    yield "| --- | --- | ---: | --- | --- |"
    for _, _, score in ranked[:WORST]:
        judged = score["facts"] if score["outcome"] == "ok" else ()
        missing = ", ".join(say_fact(f["fact"]) for f in judged if not f["found"])
        refused = next((r["evidence"] for r in score["refusal"] if r["label"] == "full"), "")
        repeat = f", repeat {score['repeat']}" if score["repeat"] else ""
        cells = (
            f"{score['dialogue_id']}{repeat}",
            score["outcome"],
            format_value(score["fact_coverage"]),
            shorten(missing, EVIDENCE_LIMIT),
            shorten(refused or "", EVIDENCE_LIMIT),
        )
        yield "| " + " | ".join(map(_escape, cells)) + " |"


def _rank(score: Record) -> tuple[int, float] | None:
    """Say how bad a dialogue is, the worst first; None where nothing is wrong with it."""
    if score["outcome"] == "error":
        return (0, 0.0)
    refused = any(refusal["label"] == "full" for refusal in score["refusal"])
    coverage = score["fact_coverage"]
    if coverage is None:
        return (1, 0.0) if refused else None
    return (1, coverage) if refused or coverage < 1 else None


def _escape(text: object) -> str:
    """Keep text from being taken for markup."""
    plain = " ".join(make_plain(str(text)).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$:@-]|(?<=[wW])\.)", r"\\\1", plain)
