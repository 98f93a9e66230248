"""What is told of a dialogue that failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_experiment_profiler.experiment import Attempt, Failure, Reply
from pytest_experiment_profiler.reports.failure import explain_failure
from tests.builders import make_dialogue, make_prompt, make_transcript, make_turn


def test_a_failed_call_names_dialogue_place_question_and_error():
    dialogue = make_dialogue(file=Path("data") / "dialogues.jsonl", line=731)
    text = explain_failure(make_transcript(make_turn(None), dialogue=dialogue))
    assert text.splitlines() == [
        "dialogue water",
        f"{Path('data') / 'dialogues.jsonl'}:731",
        "turn 0, user: Where does rain come from?",
        "error: overloaded_error: busy",
    ]


def test_the_last_turn_is_told_of_several():
    turns = [make_turn("One."), make_turn(None, prompt=make_prompt("And snow?", turn=1))]
    assert "turn 1, user: And snow?" in explain_failure(make_transcript(*turns))


def test_attempts_are_counted():
    attempts = (Attempt(status=529, error="busy", waited_s=0.0),) * 3
    text = explain_failure(make_transcript(replace(make_turn(None), attempts=attempts)))
    assert "after 3 attempts" in text


def test_a_repeat_is_named():
    assert "dialogue water, repeat 2" in explain_failure(make_transcript(make_turn(None), repeat=2))


def test_a_long_answer_is_cut_and_says_how_much():
    lost = Failure(type="log_error", message="not in the logs")
    turn = replace(make_turn("x" * 1_000_000), error=lost)
    text = explain_failure(make_transcript(turn))
    assert len(text) < 5000
    assert "answer:\n| xxx" in text
    assert "more characters)" in text


def test_a_long_question_and_a_long_error_are_cut():
    turn = make_turn(None, prompt=make_prompt("y" * 100_000))
    turn = replace(turn, error=Failure(type="http_error", message="z" * 100_000))
    text = explain_failure(make_transcript(turn))
    assert len(text) < 5000
    assert text.count("more characters)") == 2


def test_hostile_text_is_shown_not_obeyed():
    odd = "\x1b]0;title\x07 \u202e\u2066 \ud800 \r gone \x9b31m"
    turn = make_turn(None, prompt=make_prompt(odd))
    turn = replace(turn, reply=Reply(text=odd), error=Failure(type=odd, message=odd))
    dialogue = make_dialogue(dialogue_id=odd)
    text = explain_failure(make_transcript(turn, dialogue=dialogue))
    assert text.replace("\n", "").isprintable()
    assert r"\x1b]0;title\x07" in text
    text.encode()


def test_a_dialogue_without_turns_is_told():
    assert explain_failure(make_transcript()).startswith("dialogue water\n")
