"""Text that no terminal can be tricked with."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.reports.plain import make_line, make_plain, shorten


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain\ttext\nZürich 日本 🌍", "plain\ttext\nZürich 日本 🌍"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\ud800", r"\ud800"),
        ("\x00\x07\x08\x7f", r"\x00\x07\x08\x7f"),
        ("a\u034f\u115f\u3164\uffa0b", r"a\u034f\u115f\u3164\uffa0b"),
        ("\U000e0041\U000e0100", r"\U000e0041\U000e0100"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("## A #1 heading", "## A #1 heading"),
        ("so ##[error]it failed", r"so \x23#[error]it failed"),
        ("###vso[task.complete]", r"#\x23#vso[task.complete]"),
        ("##teamcity[testFinished]", r"\x23#teamcity[testFinished]"),
    ],
)
def test_what_could_trick_a_terminal_is_escaped(text, plain):
    assert make_plain(text) == plain


@given(st.text(st.characters()) | st.text())
def test_nothing_that_controls_is_left(text):
    plain = make_plain(text)
    assert not {unicodedata.category(c) for c in plain} & {"Cs", "Zl", "Zp"}
    assert all(c in "\n\t" for c in plain if unicodedata.category(c) == "Cc")
    assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLI", "LRI"} for c in plain)
    plain.encode()
    assert make_plain(plain) == plain


@given(st.text(st.characters()) | st.text())
def test_a_line_is_one(text):
    line = make_line(text)
    assert len(line.splitlines()) <= 1
    assert line == line.strip()


def test_a_line_is_cut():
    assert make_line("a\n\tb\r\nc\x1b" + "x" * 30, 8) == r"a b c\x1b… (30 more characters)"


@given(st.text(), st.integers(0, 20))
def test_a_text_is_cut_or_whole(text, limit):
    short = shorten(text, limit)
    if len(text) <= limit:
        assert short == text
    else:
        assert short == f"{text[:limit]}… ({len(text) - limit} more characters)"


def test_large_counts_are_readable():
    assert shorten("x" * 1_000_010, 10) == "x" * 10 + "… (1,000,000 more characters)"
