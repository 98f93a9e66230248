"""Lines for GitHub Actions, read back as its runner does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.reports.github import annotate
from pytest_experiment_profiler.reports.plain import make_plain


def read_command(line):
    """Give the command of a line, its fields and its message."""
    assert "\n" not in line
    assert "\r" not in line
    head, _, message = line.removeprefix("::").partition("::")
    command, _, rest = head.partition(" ")
    fields = dict(field.partition("=")[::2] for field in rest.split(","))
    return command, {k: unescape(v, of_field=True) for k, v in fields.items()}, unescape(message)


def unescape(text, *, of_field=False):
    pairs = [("%0D", "\r"), ("%0A", "\n"), *([("%3A", ":"), ("%2C", ",")] if of_field else [])]
    for code, character in [*pairs, ("%25", "%")]:
        text = text.replace(code, character)
    return text


def test_a_line_holds_place_title_and_message():
    line = annotate(Path("/w/data/d.json"), 3, "d1", "dialogue d1\nerror: busy", "/w")
    assert line == "::error file=data/d.json,line=3,title=d1::dialogue d1%0Aerror: busy"


def test_without_a_workspace_the_path_is_whole():
    assert "file=/w/data/d.json," in annotate(Path("/w/data/d.json"), 3, "d1", "x", "")


@pytest.mark.parametrize("text", ["100%", "%0A", "%25", "a,b", "a:b", "a::b", "x\ny", "::error::z"])
def test_what_has_a_meaning_comes_back_as_it_was(text):
    command, fields, message = read_command(annotate(Path(f"/w/{text}"), 1, text, text, "/w"))
    assert (command, message) == ("error", text)
    assert fields == {"file": text, "line": "1", "title": text}


@given(st.text(st.characters()) | st.text())
def test_any_text_is_one_line_and_says_itself(text):
    _, fields, message = read_command(annotate(Path("/w/d.json"), 7, text, text, "/w"))
    assert (fields["line"], fields["title"], message) == ("7", make_plain(text), make_plain(text))
