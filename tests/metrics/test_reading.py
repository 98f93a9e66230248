"""Answers read by both readers at once: what counts as one fact, and where it is looked for."""

from __future__ import annotations

import pytest

from pytest_experiment_profiler.experiment import Fact
from pytest_experiment_profiler.metrics import fact_coverage, read_answers, truncated_rate
from tests.builders import make_dialogue, make_experiment, make_prompt, make_transcript, make_turn


def read(facts, *texts, mode="lenient"):
    dialogue = make_dialogue(required_facts=tuple(facts), turns=("?",) * len(texts))
    turns = [make_turn(text, prompt=make_prompt(turn=i)) for i, text in enumerate(texts)]
    transcript = make_transcript(*turns, dialogue=dialogue)
    return read_answers(transcript, make_experiment(fact_mode=mode))


def fact(*wordings, **changes):
    return Fact(wordings=wordings, **changes)


@pytest.mark.parametrize(
    ("facts", "count"),
    [
        ([fact("Paris"), fact("Paris")], 1),
        ([fact("Paris"), fact("PARIS."), fact("the Paris")], 1),
        ([fact("1,000"), fact("one thousand")], 1),
        ([fact("Paris", "Lutetia"), fact("lutetia", "paris")], 1),
        ([fact("Paris"), fact("Paris", "Lutetia")], 2),
        ([fact("Paris"), fact("Paris", turn=0)], 2),
        ([fact("Paris"), fact("Paris", form="none_of")], 2),
        ([fact("a+", form="regex"), fact("A+", form="regex")], 2),
        ([fact("!"), fact("?")], 2),
    ],
)
def test_facts_with_the_same_wordings_count_once(facts, count):
    found = read(facts, "It is Paris.")

    assert found.facts is not None
    assert [match.fact for match in found.facts] == facts[:count]


def test_in_exact_mode_only_case_makes_no_difference():
    found = read([fact("Paris"), fact("PARIS"), fact("Paris.")], "Paris it is", mode="exact")

    assert fact_coverage(found) == 0.5


def test_a_fact_of_a_turn_is_looked_for_there_only():
    facts = [fact("Paris", turn=1), fact("Rome", turn=0)]

    assert fact_coverage(read(facts, "Rome or Paris", "Rome")) == 0.5
    assert fact_coverage(read(facts, "Rome", "Paris")) == 1


@pytest.mark.parametrize(
    ("reason", "cut"),
    [("max_tokens", 1.0), ("length", 1.0), ("MAX_TOKENS", 1.0), ("end_turn", 0.0), (None, 0.0)],
)
def test_each_provider_says_in_its_own_words_that_an_answer_is_cut(reason, cut):
    assert truncated_rate(make_transcript(make_turn(stop=reason))) == (cut, 1.0)
