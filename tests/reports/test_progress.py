"""How far a run is, in one line: on a terminal, and elsewhere."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest

from pytest_experiment_profiler.reports.progress import (
    SETTLE_S,
    Standing,
    StatusLine,
    describe_standing,
    show_bar,
)


def stand(ended=0, **changes):
    values = {"total": 400, "ended": ended, "errors": 0, "in_flight": 37, "refusals_429": 0}
    return Standing(**values | changes)


@pytest.mark.parametrize(
    ("standing", "line"),
    [
        (stand(), "0/400 dialogues | in flight 37"),
        (stand(212, errors=5), "212/400 dialogues  5 errors | in flight 37"),
        (stand(212, errors=1), "212/400 dialogues  1 error | in flight 37"),
        (stand(refusals_429=3), "0/400 dialogues | in flight 37 | 429s 3"),
        (stand(spent_usd=Decimal("0.125")), "0/400 dialogues | in flight 37 | $0.12"),
        (
            stand(spent_usd=Decimal("0.5"), budget_usd=Decimal(2), eta_s=75.0),
            "0/400 dialogues | in flight 37 | $0.50 of $2.00 | eta 1m15s",
        ),
        (stand(eta_s=9.4), "0/400 dialogues | in flight 37 | eta 9s"),
    ],
)
def test_a_standing_is_one_line(standing, line):
    assert describe_standing(standing) == line


def test_off_a_terminal_each_tenth_is_a_line():
    said: list[str] = []
    seconds = iter(range(10_000))
    line = StatusLine(write=said.append, now=lambda: float(next(seconds)))
    for ended in range(401):
        line.show(stand(ended))
    told = "".join(said).splitlines()
    assert [text.split("/")[0] for text in told] == [str(n * 40) for n in range(1, 10)]


def test_a_quick_run_says_nothing():
    said: list[str] = []
    line = StatusLine(write=said.append, now=lambda: SETTLE_S / 2)
    for ended in range(401):
        line.show(stand(ended))
    assert said == []


def test_on_a_terminal_the_line_is_rewritten_and_taken_away():
    said: list[str] = []
    line = StatusLine(write=said.append, is_terminal=True, column=lambda: 5, width=lambda: 20)
    line.show(stand(7))
    line.clear()
    line.clear()
    shown, gone = said
    assert "7/400 dialogues | i" in shown
    assert "in flight" not in shown
    assert gone == "\n\r\x1b[2K\x1b[1A\r\x1b[5C"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_shell_has_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with show_bar(stream) as show:
        show(stand(400))
    assert "400/400 dialogues" in stream.getvalue()


def test_the_shell_says_little_elsewhere():
    stream = io.StringIO()
    with show_bar(stream) as show:
        show(stand(40))
    assert stream.getvalue() == ""
