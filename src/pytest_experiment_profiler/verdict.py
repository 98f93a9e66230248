"""A summary, a comparison and gates → the summary with what it is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.gates import gate_record, judge_run
from pytest_experiment_profiler.pricing import FREE_CLIENTS
from pytest_experiment_profiler.statistics import Absent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_experiment_profiler.comparison import Comparison
    from pytest_experiment_profiler.scored import RunScores
    from pytest_experiment_profiler.summary import Summary


def judge_with_baseline(
    summary: Summary,
    folder: Path,
    gates: Mapping[str, Any],
    baseline: RunScores | None,
    *,
    intersection: bool = False,
) -> Summary:
    """Compare a run with its baseline, and hold it against gates; raise UsageError if it can't."""
    if baseline is None:
        return judge_summary(summary, gates, None)
    from pytest_experiment_profiler.comparison import compare  # noqa: PLC0415 -- a baseline is rare
    from pytest_experiment_profiler.scored import read_scores  # noqa: PLC0415

    found = compare(baseline, read_scores(folder), gates=gates, intersection=intersection)
    return judge_summary(summary, gates, found)


def judge_summary(
    summary: Summary, gates: Mapping[str, Any], comparison: Comparison | None
) -> Summary:
    """Hold a run against gates, unless dialogues were selected: gates judge whole runs."""
    whole = summary.counts["selected"] == summary.counts["dialogues"]
    results = judge_run(
        gates if whole else {},
        metrics=summary.metrics,
        intervals={
            name: found if isinstance(found, Absent) else found.interval
            for name, found in summary.intervals.items()
        },
        contrasts=comparison.metrics if comparison else None,
        cost_usd=0.0 if summary.client in FREE_CLIENTS else summary.cost["usd"],
    )
    summary = replace(summary, gates=[gate_record(result) for result in results], comparison=None)
    if comparison is None:
        return summary
    from pytest_experiment_profiler.comparison import comparison_record  # noqa: PLC0415 -- as above

    return replace(summary, comparison=comparison_record(comparison))
