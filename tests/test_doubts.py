"""Datasets that are valid and yet probably wrong."""

from __future__ import annotations

import pytest

from pytest_experiment_profiler.doubts import Doubts

ROWS = {
    "expects a fact whose wording stands in their own prompt": {"required_facts": ["RAIN"]},
    "expects nothing but none_of facts": {"required_facts": [{"none_of": ["snow"]}]},
    "expects a fact of over 80 characters": {"required_facts": [["cloud " * 20, "fog"]]},
}


@pytest.mark.parametrize(("said", "row"), ROWS.items(), ids=["echo", "silence", "sentence"])
def test_a_doubt_is_told_with_its_first_line(said, row):
    doubts = Doubts()
    doubts.look_at({"user": "Where does rain come from?"} | row, 731)
    (line,) = doubts.lines()
    assert line.startswith(f"1 dialogue {said}")
    assert line.endswith("(line 731)")


def test_dialogues_of_a_kind_are_counted():
    doubts = Doubts()
    for line in (4, 5, 6):
        doubts.look_at({"turns": ["Is it rain?", "And now?"], "required_facts": ["rain"]}, line)
    said = "3 dialogues expect a fact whose wording stands in their own prompt (line 4)"
    assert list(doubts.lines()) == [said]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"required_facts": ["cloud", {"none_of": ["rain"]}]},
        {"required_facts": [{"regex": "ra+in"}]},
    ],
)
def test_the_usual_raises_no_doubt(row):
    doubts = Doubts()
    doubts.look_at({"user": "Where does rain come from?"} | row, 1)
    assert list(doubts.lines()) == []


def test_a_key_that_was_probably_misspelt_is_told_once():
    doubts = Doubts()
    for line in (3, 4):
        doubts.look_at({"user": "x", "required_fact": ["rain"], "usage": 1, "topic": "sky"}, line)
    said = "a dialogue has a key 'required_fact' (did you mean 'required_facts'?) (line 3)"
    assert list(doubts.lines()) == [said]


def test_a_key_beside_the_one_it_resembles_is_meant():
    doubts = Doubts()
    doubts.look_at({"user": "x", "users": 2, "tags": [], "tag": "y"}, 1)
    assert list(doubts.lines()) == []
