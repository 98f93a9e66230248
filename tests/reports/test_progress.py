"""How far a run is, in one line: rewritten on a terminal, now and then elsewhere."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest

from pytest_experiment_profiler.reports.progress import (
    REWRITE_S,
    SETTLE_S,
    Standing,
    StatusLine,
    describe_standing,
    show_bar,
)


def make_standing(ended: int = 0, total: int = 400, **changes: Any) -> Standing:
    values: dict[str, Any] = {"errors": 0, "in_flight": 0, "refusals_429": 0}
    return Standing(total=total, ended=ended, **values | changes)


SAID: dict[str, dict[str, Any]] = {
    "212/400 dialogues  5 errors | in flight 37 | 429s 2 | $0.41 of $5.00 | eta 1m12s": {
        "ended": 212,
        "errors": 5,
        "in_flight": 37,
        "refusals_429": 2,
        "spent_usd": Decimal("0.4123"),
        "budget_usd": Decimal(5),
        "eta_s": 72.3,
    },
    "0/400 dialogues | in flight 32": {"in_flight": 32},
    "1/400 dialogues  1 error | in flight 0": {"ended": 1, "errors": 1},
    "1/400 dialogues | in flight 0 | $0.41": {"ended": 1, "spent_usd": Decimal("0.41")},
    "1/400 dialogues | in flight 0 | eta 0s": {"ended": 1, "eta_s": 0.2},
    "1/400 dialogues | in flight 0 | eta 1m00s": {"ended": 1, "eta_s": 59.7},
    "1/400 dialogues | in flight 0 | eta 61m01s": {"ended": 1, "eta_s": 3661},
}


@pytest.mark.parametrize("line", SAID)
def test_a_standing_in_one_line(line):
    assert describe_standing(make_standing(**SAID[line])) == line


class Screen:
    """What was written, a place for the cursor, and a clock."""

    def __init__(self, column=0):
        self.text = ""
        self.column = column
        self.seconds = 0.0

    def line(self, *, is_terminal, width=80):
        return StatusLine(
            write=self.write,
            is_terminal=is_terminal,
            column=lambda: self.column,
            width=lambda: width,
            now=lambda: self.seconds,
        )

    def write(self, text):
        self.text += text


# --- a terminal


def test_the_line_stands_below_the_cursor_which_stays_where_it_was():
    screen = Screen(column=7)
    screen.line(is_terminal=True).show(make_standing(3))
    line = "3/400 dialogues | in flight 0"
    assert screen.text == f"\n\r\x1b[2K{line}\x1b[1A\r\x1b[7C"


def test_in_the_first_column_the_cursor_stays_there():
    screen = Screen()
    screen.line(is_terminal=True).show(make_standing())
    assert screen.text.endswith("\x1b[1A\r")


def test_a_line_that_was_wrapped_goes_on_where_it_was():
    screen = Screen(column=205)
    screen.line(is_terminal=True, width=100).show(make_standing(3))
    assert screen.text.endswith("\x1b[1A\r\x1b[5C")


@pytest.mark.parametrize("column", [100, 200])
def test_at_the_edge_it_waits(column):
    screen = Screen(column=column)
    line = screen.line(is_terminal=True, width=100)
    line.show(make_standing(3))
    assert screen.text == ""
    screen.column += 1
    line.show(make_standing(3))
    assert "3/400" in screen.text


def test_it_is_not_rewritten_all_the_time():
    screen = Screen()
    line = screen.line(is_terminal=True)
    for _ in range(10):
        line.show(make_standing(1))
        screen.seconds += REWRITE_S / 4
    assert screen.text.count("1/400") == 3


def test_it_never_wraps():
    screen = Screen()
    screen.line(is_terminal=True, width=12).show(make_standing(3))
    assert "3/400 dialo\x1b" in screen.text


def test_it_is_taken_away_once():
    screen = Screen()
    line = screen.line(is_terminal=True)
    line.clear()
    assert screen.text == ""
    line.show(make_standing(3))
    shown = len(screen.text)
    line.clear()
    line.clear()
    assert screen.text[shown:] == "\n\r\x1b[2K\x1b[1A\r"


# --- elsewhere


def settle(screen):
    """Make a line that saw its run begin a while ago."""
    line = screen.line(is_terminal=False)
    line.show(make_standing())
    screen.seconds += SETTLE_S
    return line


def test_elsewhere_a_line_is_added_every_tenth_of_the_way():
    screen = Screen()
    line = settle(screen)
    for ended in range(401):
        line.show(make_standing(ended))
    counts = [int(said.partition("/")[0]) for said in screen.text.splitlines()]
    assert counts == [40, 80, 120, 160, 200, 240, 280, 320, 360]


@pytest.mark.parametrize("total", [0, 1, 3])
def test_a_short_way_has_few_tenths(total):
    screen = Screen()
    line = settle(screen)
    for ended in range(total + 1):
        line.show(make_standing(ended, total))
    assert len(screen.text.splitlines()) <= max(0, total - 1)


def test_a_run_of_few_dialogues_may_take_longer_before_it_needs_lines():
    screen = Screen()
    settle(screen).show(make_standing(2, 9))
    assert screen.text == ""


def test_a_quick_run_needs_no_lines():
    screen = Screen()
    line = screen.line(is_terminal=False)
    for ended in range(401):
        line.show(make_standing(ended))
    assert screen.text == ""


def test_it_goes_on_a_line_of_its_own():
    screen = Screen(column=3)
    settle(screen).show(make_standing(40))
    assert screen.text == "\n40/400 dialogues | in flight 0\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_nobody_sees_what_nobody_wants(is_terminal):
    line = StatusLine(write=None, is_terminal=is_terminal)
    line.show(make_standing(40))
    line.clear()


# --- the shell


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with show_bar(stream) as show:
        for ended in range(4):
            show(make_standing(ended, 3, errors=1))
    assert "3/3 dialogues  1 error" in stream.getvalue()


def test_a_file_gets_lines(monkeypatch):
    monkeypatch.setattr("pytest_experiment_profiler.reports.progress.SETTLE_FEW_S", 0)
    stream = io.StringIO()
    with show_bar(stream) as show:
        for ended in range(3):
            show(make_standing(ended, 2))
    assert stream.getvalue() == "1/2 dialogues | in flight 0\n"
