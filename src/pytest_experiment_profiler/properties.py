"""A dialogue's transcripts → what its report carries: time, place, numbers."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.metrics import fact_coverage
from pytest_experiment_profiler.pricing import FREE_CLIENTS, count_tokens, price_usd
from pytest_experiment_profiler.reports.failure import Place
from pytest_experiment_profiler.selection import name_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Transcript


def find_place(item: pytest.Item, run: Run, transcript: Transcript) -> Place:
    """Tell how to run a dialogue again, and where its last call stands in the logs."""
    file = os.path.relpath(item.path, item.config.invocation_params.dir)
    name = name_node(transcript.dialogue.dialogue_id)
    return Place(
        rerun=f"{file}::{run.experiment.experiment_id}::{name}",
        log=run.find_log(transcript),
    )


def describe_item(item: Any, transcripts: list[Transcript] | None, run: Run) -> None:  # noqa: ANN401
    """Put a dialogue's numbers, or only its run's folder, on the reports that the item gets."""
    item.current = transcripts
    kind = () if item.holds_all else (("experiment_items", "dialogues"),)
    numbers = list(list_properties(transcripts)) if transcripts else []
    if transcripts and run.record["client"] not in FREE_CLIENTS:
        numbers += list_costs(transcripts)
    folder = _pair("experiment_folder", str(run.folder))
    item.user_properties[:] = [folder, *kind, *numbers]


def describe_report(item: Any, report: pytest.TestReport) -> None:  # noqa: ANN401
    """Give the report of a dialogue the time that its calls took, and its place in the dataset.

    Keywords that are the same in all reports of an item are kept once: pytest keeps each report.
    """
    if report.keywords == item.keywords_told:
        report.keywords = item.keywords_told
    item.keywords_told = report.keywords
    transcripts = getattr(item, "current", None)
    if report.when == "call" and transcripts:
        dialogue = transcripts[0].dialogue
        turns = [turn for transcript in transcripts for turn in transcript.turns]
        report.duration = math.fsum(turn.latency_s or 0.0 for turn in turns)
        report.location = (str(dialogue.file), dialogue.line - 1, report.location[2])


def list_properties(transcripts: list[Transcript]) -> Iterator[tuple[str, object]]:
    """List a dialogue's numbers as plain data, for JUnit XML and other readers of reports."""
    coverages = [c for c in map(fact_coverage, transcripts) if isinstance(c, float)]
    if coverages:
        yield _pair("fact_coverage", math.fsum(coverages) / len(coverages))
    labels = [r.label for transcript in transcripts for r in transcript.refusals or ()]
    if labels:
        yield _pair("refusal", "full" if "full" in labels else max(labels))
    replies = [turn.reply for t in transcripts for turn in t.turns if turn.reply]
    counts = [count_tokens(reply.usage) for reply in replies]
    if any(map(any, counts)):
        yield _pair("input_tokens", sum(sent for sent, _ in counts))
        yield _pair("output_tokens", sum(received for _, received in counts))


@lru_cache(maxsize=1024)
def _pair(name: str, value: float | str) -> tuple[str, object]:
    """Make a property; equal ones are one, because pytest keeps each report to the end."""
    return name, value


def list_costs(transcripts: list[Transcript]) -> Iterator[tuple[str, object]]:
    """Give what a dialogue's answers cost, where each price is known."""
    turns = [turn for transcript in transcripts for turn in transcript.turns]
    prices = [
        price_usd(turn.reply.model or turn.prompt.model, turn.reply.usage)
        for turn in turns
        if turn.reply
    ]
    known = [price for price in prices if price is not None]
    if prices and len(known) == len(prices):
        yield _pair("cost_usd", float(sum(known)))
