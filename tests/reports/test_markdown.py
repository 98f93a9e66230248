"""A summary as Markdown: a table with intervals, and every line below it."""

from __future__ import annotations

from pytest_experiment_profiler.reports.markdown import render_markdown
from tests.builders import make_read_transcript, sum_up

make = make_read_transcript


def render(**changes):
    return render_markdown(sum_up(make(3, 3), make(3, 3), make(2, 3, "f")) | changes).splitlines()


def test_intervals_stand_in_the_table():
    lines = render()
    assert lines[:5] == [
        "### Experiment `demo_run`",
        "",
        "| Metric | Value | 95 % interval | n |",
        "| --- | ---: | --- | ---: |",
        "| fact\\_coverage | 0.8889 | 0.5437 to 0.9817 | 3 |",
    ]
    assert not any("0.5437" in line for line in lines[5:])


def test_every_other_line_stands_below():
    gate = {
        "outcome": "inconclusive",
        "sentence": "fact_coverage has no baseline to be compared with",
    }
    lines = render(gates=[gate], metric_errors={"odd": "d0: ValueError: 1 to 2"})
    assert "- gate inconclusive: fact\\_coverage has no baseline to be compared with" in lines
    assert "- odd: n/a, it failed: d0: ValueError: 1 to 2" in lines
    assert any(line.startswith("- not in these intervals: ") for line in lines)
