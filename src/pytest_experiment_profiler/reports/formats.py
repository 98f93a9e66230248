"""A summary → text in one of several formats, for people and programs."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import TYPE_CHECKING

from pytest_experiment_profiler.reports.markdown import render_markdown
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.reports.table import list_notes, render_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_experiment_profiler.records import Record


def _render_table(summary: Record) -> str:
    return "\n".join([render_table(summary), *list_notes(summary)])


def _render_json(summary: Record) -> str:
    return json.dumps(summary, indent=2)


def _render_csv(summary: Record) -> str:
    """Write a line a metric; an empty cell is no value."""
    target = StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["metric", "value", "low", "high", "level", "n"])
    for name in summary["metrics"]:
        interval = summary["intervals"].get(name) or {}
        ends = [interval.get(key) for key in ("low", "high", "level", "n")]
        writer.writerow([_keep_text(make_plain(name)), summary[name], *ends])
    return target.getvalue().rstrip("\n")


def _keep_text(text: str) -> str:
    """Keep a spreadsheet from taking text for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


REPORTS: Mapping[str, Callable[[Record], str]] = {
    "table": _render_table,
    "json": _render_json,
    "md": render_markdown,
    "csv": _render_csv,
}
