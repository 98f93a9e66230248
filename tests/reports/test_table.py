"""The table, to the letter, and the lines below it."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.reports.table import format_value, list_notes, render_table
from tests.builders import TABLE, make_read_transcript, sum_up

make = make_read_transcript


def make_summary(**changes):
    return sum_up(make(3, 3), make(3, 3), make(2, 3, "f")) | changes


def note(**changes):
    return list(list_notes(make_summary(**changes)))


def test_the_table_of_the_contract():
    assert render_table(make_summary()) == TABLE


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "nonsense"])
def test_a_terminal_that_lacks_the_characters_gets_plain_ones(encoding):
    text = render_table(make_summary(), encoding)
    assert text.isascii()
    assert (
        text
        == """\
    Experiment Metrics
        (demo_run)
+-------------------------+
| Metric         |  Value |
|----------------+--------|
| fact_coverage  | 0.8889 |
| geometric_mean | 0.7698 |
| refusal_rate   | 0.3333 |
+-------------------------+""".replace("\\\n", "")
    )


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-16", "cp437"])
def test_a_terminal_that_has_them_gets_the_others(encoding):
    fancy = render_table(make_summary(), encoding)
    assert fancy == TABLE or encoding == "cp437"


NAMES = st.text(st.characters(exclude_characters="\n\t"), min_size=1)


@given(st.dictionaries(NAMES, st.none() | st.floats(0, 1e6)))
def test_it_is_the_table_that_rich_draws(values):
    table = Table("Metric", Column("Value", justify="right"), box=box.HEAVY_HEAD)
    for name, value in values.items():
        table.add_row(Text(make_plain(f"own_{name}")), format_value(value))
    target = StringIO()
    Console(file=target, width=10_000, color_system=None, legacy_windows=False).print(table)
    drawn = [line.rstrip() for line in target.getvalue().splitlines()]
    names = [f"own_{name}" for name in values]
    summary = make_summary(metrics=names, **dict(zip(names, values.values(), strict=True)))
    text = render_table(summary)
    assert text.split("\n")[2:] == drawn


def test_a_name_takes_one_line():
    assert r"│ a\tb\nc │" in render_table(make_summary(metrics=["a\tb\nc"], **{"a\tb\nc": 1.0}))


def test_the_title_is_never_wrapped():
    name = "x" * 100
    lines = render_table(make_summary(experiment_id=name)).splitlines()
    assert lines[0].strip() == "Experiment Metrics"
    assert lines[1] == f"({name})"
    assert lines[2:] == TABLE.splitlines()[2:]


def test_the_columns_of_the_terminal_do_not_matter(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert render_table(make_summary()) == TABLE


def test_colour_settings_do_not_matter(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert render_table(make_summary()) == TABLE


def test_a_long_name_widens_the_table():
    name = "own_metric_with_a_very_long_name_" * 5
    text = render_table(make_summary(metrics=[name], **{name: 1.0}))
    assert f"│ {name} │ 1.0000 │" in text
    assert len(text.splitlines()) == 7


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "n/a"),
        (0.0, "0.0000"),
        (1.0, "1.0000"),
        (0.00005, "0.0001"),
        (0.99996, "1.0000"),
        (-2.5, "-2.5000"),
        (12345.678, "12345.6780"),
    ],
)
def test_values_have_four_decimals_or_there_is_none(value, shown):
    assert format_value(value) == shown


def test_an_absent_value_is_told():
    assert "│ fact_coverage  │    n/a │" in render_table(make_summary(fact_coverage=None))


def test_one_metric_is_one_row():
    text = render_table(make_summary(metrics=["refusal_rate"]))
    assert len([line for line in text.splitlines() if "│" in line]) == 1


HOSTILE = "[bold red]x[/] \x1b[31m\x07 \u202e :smile: \ud800"


def test_hostile_names_are_shown_not_obeyed():
    text = render_table(make_summary(metrics=[HOSTILE], **{HOSTILE: 1.0}))
    assert "[bold red]x[/]" in text
    assert ":smile:" in text
    assert text.replace("\n", "").isprintable()
    text.encode()


@given(st.text(max_size=30), st.none() | st.floats(0, 1))
def test_any_name_is_one_row_without_trailing_blanks(name, value):
    lines = render_table(make_summary(metrics=[name], **{name: value})).split("\n")
    assert all(line == line.rstrip() for line in lines)
    assert len({len(line) for line in lines[2:3] + lines[-1:]}) == 1


# --- below the table


def test_a_model_that_calls_itself_something_odd_stays_in_its_line():
    notes = note(answered_by=["claude-haiku-4-5", "x\n\x1b[2Jgate passed: all"])
    assert notes[0] == (r"client: mock (claude-haiku-4-5, answered by x \x1b[2Jgate passed: all)")


def test_notes_of_the_sample():
    assert note()[:2] == ["client: mock (claude-haiku-4-5)", "dialogues: 3, calls: 3"]


def test_errors_are_told():
    counts = make_summary()["counts"] | {"errors": 2}
    assert any(line.startswith("errors: 2") for line in note(counts=counts))


def test_what_was_not_run_is_told():
    counts = make_summary()["counts"] | {"not_run": 2}
    assert "partial: 3 dialogues, calls: 3, not run: 2" in note(counts=counts, status="partial")


def test_a_selection_is_told():
    counts = make_summary()["counts"] | {"selected": 1, "calls": 1}
    assert "partial: 1 of 3 dialogues, calls: 1" in note(counts=counts, status="partial")


def test_an_interval_is_told_with_its_n():
    [line] = [line for line in note() if line.startswith("refusal_rate")]
    assert line == "refusal_rate: 0.0615 to 0.7923 (95 %, n = 3)"


def test_the_effective_number_is_told_where_it_is_another():
    [line] = [line for line in note() if line.startswith("fact_coverage")]
    assert line == "fact_coverage: 0.5437 to 0.9817 (95 %, n = 3, n_eff = 8.0)"


def test_what_intervals_leave_out_is_told_where_there_are_any():
    assert sum(line.startswith("not in these intervals: ") for line in note()) == 1
    lines = list(list_notes(sum_up(make(0, 0, "e"))))
    assert not any(line.startswith("not in these intervals: ") for line in lines)
    assert "refusal_rate: no interval, nothing to count" in lines


def test_a_warning_stands_below_the_intervals():
    lines = list(list_notes(sum_up(make(1, 1, "nnnnn"), make(1, 1))))
    assert lines[-1] == (
        "refusal_rate: one dialogue carries 83% of the whole: the interval may be too narrow"
    )


def test_a_real_run_tells_tokens_and_cost():
    tokens = {"input": 12345, "output": 678}
    cost = {"usd": 0.01573, "prices_as_of": "genai-prices 0.2.3", "known_calls": 3}
    [line] = [line for line in note(client="anthropic", tokens=tokens, cost=cost) if "$" in line]
    assert line == "tokens: 12,345 in, 678 out, cost: $0.0157 (genai-prices 0.2.3)"


def test_an_unknown_cost_is_told():
    cost = {"usd": None, "prices_as_of": "genai-prices 0.2.3", "known_calls": 0}
    assert any("cost unknown" in line for line in note(client="anthropic", cost=cost))


def test_a_client_that_counts_no_tokens_is_told():
    cost = {"usd": None, "prices_as_of": "x", "unknown_models": ["claude-haiku-4-5"]}
    notes = note(client="Own", cost=cost, tokens={"input": 0, "output": 0})
    assert "tokens: 0 in, 0 out, cost unknown (no usage from claude-haiku-4-5)" in notes


def test_a_metric_that_failed_is_told_plainly():
    errors = {"brevity": "water: ValueError: \x1b[31m"}
    [line] = [line for line in note(metric_errors=errors) if line.startswith("brevity")]
    assert "n/a" in line
    assert line.isprintable()
