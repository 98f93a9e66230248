"""`compare`: two run folders, pair by pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_experiment_profiler.commands.output import WELL, say
from pytest_experiment_profiler.comparison import compare, comparison_record
from pytest_experiment_profiler.reports.table import list_contrasts
from pytest_experiment_profiler.scored import read_baseline, read_scores

if TYPE_CHECKING:
    import argparse


def compare_folders(options: argparse.Namespace) -> int:
    """Print how a candidate run differs from its baseline."""
    read = read_scores if options.intersection else read_baseline
    baseline, candidate = read(options.baseline), read_scores(options.candidate)
    found = compare(baseline, candidate, intersection=options.intersection)
    say("\n".join(list_contrasts(comparison_record(found))))
    return WELL
