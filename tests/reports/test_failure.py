"""What is told of a dialogue that failed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_experiment_profiler.experiment import (
    Attempt,
    Fact,
    FactMatch,
    Failure,
    Refusal,
    Reply,
)
from pytest_experiment_profiler.reports.failure import Place, explain_failure
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


ANSWER = Reply(
    text=f"Rain comes from {'dark ' * 15}clouds.\n##[error]forged\n::error::forged",
    usage={"input_tokens": 1234, "output_tokens": 56},
    request_id="req_1\x1b[2J",
    model="claude-haiku-4-5",
)
FACTS = (
    (Fact(wordings=("clouds",)), "clouds"),
    (Fact(wordings=("vapour", "steam")), None),
    (Fact(wordings=("sea", "sun"), form="all_of", turn=1), None),
    (Fact(wordings=("ra\u202ein",), form="none_of"), "ra\x07in"),
)


def make_judged(*turns, **changes):
    """Make the transcript of an answer that lacks facts."""
    turn = replace(make_turn(), reply=ANSWER, latency_s=0.4321)
    facts = tuple(FactMatch(fact=f, found=m == "clouds", matched=m) for f, m in FACTS)
    refusal = Refusal(label="partial", score=0.5, evidence="I would \u202e rather not.")
    return make_transcript(*(turns or [turn]), facts=facts, refusals=(refusal,), **changes)


def test_all_that_helps_stands_there():
    place = Place(rerun="demo_experiment.yaml::demo_run::water", log="runs/responses.jsonl:143")
    text = explain_failure(make_judged(), place, ("fact_coverage 0.2500 is below 0.5",))
    assert text.splitlines() == [
        "dialogue water",
        "dialogues.json:2",
        "turn 0, user: Where does rain come from?",
        "answer:",
        f"| Rain comes from{' dark' * 15}",
        "| clouds.",
        r"| \x23#[error]forged",
        "| ::error::forged",
        "✓ clouds (clouds)",
        "✗ vapour / steam",
        "✗ all of: sea + sun (turn 1)",
        r"✗ none of: ra\u202ein (ra\x07in)",
        r"refusal: partial (score 0.50): I would \u202e rather not.",
        r"tokens: 1,234 in, 56 out, cost: $0.001514, latency: 0.43 s, request: req_1\x1b[2J",
        "gate: fact_coverage 0.2500 is below 0.5",
        'rerun: pytest "demo_experiment.yaml::demo_run::water"',
        "log: runs/responses.jsonl:143",
    ]


def test_an_empty_answer_lacks_its_facts():
    text = explain_failure(make_judged(replace(make_turn(), reply=Reply(text=""))))
    assert "answer: (empty)" in text
    assert "✗ vapour" in text


def test_which_of_several_turns_is_told():
    dialogue = make_dialogue(turns=("One?", "And snow?"))
    turns = [make_turn("One."), make_turn(None, prompt=make_prompt("And snow?", turn=1))]
    text = explain_failure(make_transcript(*turns, dialogue=dialogue))
    assert "turn 1 (from 0) of 2, user: And snow?" in text


@pytest.mark.parametrize("name", ["$(touch x)", "`touch x`", 'a";touch x;"', "!!", "it's"])
def test_a_rerun_that_is_pasted_runs_nothing_else(name):
    text = explain_failure(make_transcript(make_turn()), Place(rerun=f"m.yaml::demo::{name}"))
    [line] = [line for line in text.splitlines() if line.startswith("rerun: ")]
    script = line.replace("rerun: pytest", "printf %s")
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"m.yaml::demo::{name}"
