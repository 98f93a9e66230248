"""A summary → the table, and the lines below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_experiment_profiler.reports.plain import make_line, make_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_experiment_profiler.records import Record


_HEAD = ("Metric", "Value")
_ON_ONE_LINE = {ord("\n"): "\\n", ord("\t"): "\\t"}


MOST_NAMES = 10
"""Dialogues that are named in a line; the rest is counted."""


def render_table(summary: Record, encoding: str = "utf-8") -> str:
    """Draw the table of metrics; in plain characters where the encoding lacks the others.

    rich's own `Table` draws the same, and takes 40 ms to import.
    """
    from rich import box  # noqa: PLC0415 -- needed at a run's end only
    from rich.cells import cell_len  # noqa: PLC0415

    drawn = box.HEAVY_HEAD if _fits("┏━┳┓┃┡╇┩│└┴┘", encoding) else box.ASCII
    rows = [
        (make_plain(name).translate(_ON_ONE_LINE), format_value(summary[name]))
        for name in summary["metrics"]
    ]
    width = max(cell_len(name) for name, _ in (_HEAD, *rows))
    value_width = max(len(value) for _, value in (_HEAD, *rows))

    def fill(row: tuple[str, str], left: str, middle: str, right: str) -> str:
        name, value = row
        blanks = " " * (width - cell_len(name))
        return f"{left} {name}{blanks} {middle} {value:>{value_width}} {right}"

    widths = (width + 2, value_width + 2)
    lines = [
        drawn.get_top(widths),
        fill(_HEAD, drawn.head_left, drawn.head_vertical, drawn.head_right),
        drawn.get_row(widths, "head"),
        *(fill(row, drawn.mid_left, drawn.mid_vertical, drawn.mid_right) for row in rows),
        drawn.get_bottom(widths),
    ]
    title = ("Experiment Metrics", f"({summary['experiment_id']})")
    return "\n".join([*(_centre(text, sum(widths) + 3) for text in title), *lines])


def format_value(value: float | None) -> str:
    """Show a metric with 4 decimals, or that there is none."""
    return "n/a" if value is None else f"{value:.4f}"


def list_notes(summary: Record) -> Iterator[str]:
    """Say below the table what else is worth knowing."""
    others = [name for name in summary["answered_by"] if not name.startswith(summary["model"])]
    answered = f", answered by {make_line(', '.join(others))}" if others else ""
    yield f"client: {summary['client']} ({summary['model']}{answered})"
    yield _count_dialogues(summary)
    if summary["counts"]["errors"]:
        yield f"errors: {summary['counts']['errors']}, in no metric but error_rate"
    if summary["counts"]["reused"]:
        reused, calls = summary["counts"]["reused"], summary["counts"]["calls"]
        yield f"taken over from an earlier part: {reused} answers, asked now: {calls - reused}"
    intervals = list(list_intervals(summary))
    yield from intervals
    if intervals:
        yield "not in these intervals: other prompts, and what the readers of answers get wrong"
    yield from _doubts(summary)
    if summary["client"] != "mock":
        yield _cost(summary)
    yield from list_contrasts(summary["comparison"] or {})
    for gate in summary["gates"]:
        yield f"gate {gate['outcome']}: {make_plain(gate['sentence'])}"
    for name, error in summary["metric_errors"].items():
        yield f"{make_plain(name)}: n/a, it failed: {make_plain(error)}"


def list_contrasts(comparison: Record) -> Iterator[str]:
    """Say how a run compares with its baseline, a line a metric."""
    if comparison:
        yield f"compared with {make_plain(comparison['baseline'])}: {_count_pairs(comparison)}"
    for note in comparison.get("notes", ()):
        yield f"left out: {make_plain(note)}"
    contrasts = [c for c in comparison.values() if isinstance(c, dict) and "sentence" in c]
    if comparison and not contrasts:
        yield "no metric is left to compare"
    for contrast in contrasts:
        yield make_plain(contrast["sentence"])
        named = [_name_some(kind, contrast[kind]) for kind in ("gained", "lost")]
        if any(named):
            yield make_plain(f"{contrast['metric']}: {', '.join(filter(None, named))}")


def _name_some(what: str, ids: Sequence[str]) -> str:
    """Count dialogues and name the first of them; nothing where there is none."""
    rest = f" and {len(ids) - MOST_NAMES} more" if len(ids) > MOST_NAMES else ""
    return f"{what} {len(ids)} ({', '.join(ids[:MOST_NAMES])}{rest})" if ids else ""


def _count_pairs(comparison: Record) -> str:
    incomplete = len(comparison["left_out"]["incomplete"])
    pairs = "1 pair" if comparison["pairs"] == 1 else f"{comparison['pairs']} pairs"
    return f"{pairs} of dialogues" + (
        f", {incomplete} left out as not complete in both" if incomplete else ""
    )


def _count_dialogues(summary: Record) -> str:
    counts = summary["counts"]
    whole = counts["selected"] == counts["dialogues"]
    shown = f"{counts['dialogues']}" if whole else f"{counts['selected']} of {counts['dialogues']}"
    is_partial = summary["status"] != "complete"
    text = f"partial: {shown} dialogues" if is_partial else f"dialogues: {shown}"
    left = f", not run: {counts['not_run']}" if counts["not_run"] else ""
    return f"{text}, calls: {counts['calls']}{left}"


def list_intervals(summary: Record) -> Iterator[str]:
    """Say between which bounds each metric lies, and how many dialogues say so."""
    for name in summary["metrics"]:
        interval = summary["intervals"].get(name)
        if interval is not None:
            reach = f"{interval['low']:.4f} to {interval['high']:.4f}"
            yield f"{make_plain(name)}: {reach} (95 %, {_count_units(interval)})"


def _count_units(interval: Record) -> str:
    n, n_eff = interval["n"], f"{interval['n_eff']:.1f}"
    return f"n = {n}" if n_eff == f"{n:.1f}" else f"n = {n}, n_eff = {n_eff}"


def _doubts(summary: Record) -> Iterator[str]:
    """Say what an interval should be doubted for, and why there is none."""
    for name in summary["metrics"]:
        interval = summary["intervals"].get(name)
        if interval is not None and "warning" in interval:
            yield f"{make_plain(name)}: {interval['warning']}"
        elif name in summary["no_interval"] and name not in summary["metric_errors"]:
            yield f"{make_plain(name)}: no interval, {summary['no_interval'][name]}"


def _cost(summary: Record) -> str:
    tokens, cost = summary["tokens"], summary["cost"]
    if "avoided_usd" in cost:
        avoided = "unknown" if cost["avoided_usd"] is None else f"${cost['avoided_usd']:.4f}"
        return f"cost: nothing, replayed ({avoided} avoided)"
    sent = f"tokens: {tokens['input']:,} in, {tokens['output']:,} out"
    if cost["usd"] is None:
        models = make_line(", ".join(cost.get("unknown_models", ())))
        lack = f"{'price for' if any(tokens.values()) else 'usage from'} {models}"
        return f"{sent}, cost unknown (no {lack if models else 'answers'})"
    return f"{sent}, cost: ${cost['usd']:.4f} ({cost['prices_as_of']})"


def _centre(text: str, width: int) -> str:
    return " " * max(0, (width - len(text)) // 2) + text


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
