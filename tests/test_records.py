"""Nouns go to JSON and come back the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.experiment import (
    Attempt,
    Dialogue,
    Fact,
    Failure,
    Message,
    Prompt,
    Reply,
    Turn,
)
from pytest_experiment_profiler.records import (
    dialogue_record,
    fact_record,
    hash_prompt,
    parse_dialogue,
    parse_fact,
    parse_turn,
    request_record,
    response_record,
)
from pytest_experiment_profiler.validation import check
from tests.builders import make_dialogue, make_prompt, make_turn

DIGEST = "0123456789abcdef"
OWN_KEYS = {"dialogue_id", "system", "user", "turns", "required_facts"}

word = st.text(min_size=1, max_size=10)
texts = st.lists(word, min_size=1, max_size=3).map(tuple)
number = st.integers(0, 1_000_000)
seconds = st.floats(0, 1e9)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | word,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(word, inner, max_size=2),
    max_leaves=4,
)
mappings = st.dictionaries(word, json_value, max_size=2)
turn_number = st.none() | st.integers(0, 5)
facts = st.one_of(
    st.builds(
        Fact,
        wordings=texts,
        form=st.sampled_from(["any_of", "all_of", "none_of"]),
        turn=turn_number,
    ),
    st.builds(
        Fact, wordings=st.tuples(word), form=st.sampled_from(["any_of", "regex"]), turn=turn_number
    ),
)
dialogues = st.builds(
    Dialogue,
    dialogue_id=word,
    turns=texts,
    file=st.just(Path("data") / "dialogues.jsonl"),
    line=number,
    position=number,
    system=st.none() | st.text(max_size=5),
    required_facts=st.lists(facts, max_size=3).map(tuple),
    extra=st.dictionaries(
        word.filter(lambda key: key not in OWN_KEYS) | st.just("place"), json_value, max_size=3
    ),
)
messages = st.lists(
    st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=st.text(max_size=9)),
    max_size=2,
)
prompts = st.builds(
    Prompt,
    model=word,
    system=st.none() | st.text(max_size=5),
    messages=st.builds(
        lambda earlier, text: (*earlier, Message(role="user", content=text)), messages, word
    ),
    max_tokens=number,
    temperature=st.none() | st.floats(0, 1),
    dialogue_id=word,
    turn=number,
    repeat=number,
)
replies = st.builds(
    Reply,
    text=st.text(max_size=20),
    stop_reason=st.none() | word,
    usage=mappings,
    request_id=st.none() | word,
    model=word,
    metadata=mappings,
)
attempts = st.builds(
    Attempt,
    status=st.none() | st.integers(100, 599),
    error=st.none() | word,
    waited_s=seconds,
    lost=st.booleans(),
)
ends = st.one_of(
    st.tuples(replies, st.none()),
    st.tuples(st.none(), st.builds(Failure, type=word, message=st.text(max_size=20))),
)
turns = st.builds(
    lambda prompt, end, tries, sent, took: Turn(
        prompt=prompt,
        reply=end[0],
        error=end[1],
        attempts=tuple(tries),
        sent_at=sent,
        latency_s=took,
    ),
    prompts,
    ends,
    st.lists(attempts, max_size=3),
    st.none() | seconds,
    st.none() | seconds,
)


def through_json(values: Any) -> Any:
    return json.loads(json.dumps(values))


@given(facts)
def test_facts_come_back(fact):
    assert parse_fact(through_json(fact_record(fact))) == fact


@given(dialogues)
def test_dialogues_come_back(dialogue):
    assert parse_dialogue(through_json(dialogue_record(dialogue))) == dialogue


@given(turns)
def test_turns_come_back(turn):
    request = request_record(turn.prompt, DIGEST)
    response = response_record(turn, DIGEST)
    assert parse_turn(through_json(request), through_json(response)) == turn


@given(prompts, prompts)
def test_a_prompts_hash_says_what_is_sent_and_to_whom(one, other):
    same = (one.model, one.system, one.messages, one.max_tokens, one.temperature) == (
        (other.model, other.system, other.messages, other.max_tokens, other.temperature)
    )
    assert (hash_prompt(one, "mock") == hash_prompt(other, "mock")) == same
    assert hash_prompt(one, "mock") == hash_prompt(replace(one, dialogue_id="x"), "mock")
    assert hash_prompt(one, "mock") != hash_prompt(one, "anthropic")


@given(facts)
def test_a_fact_is_written_as_a_dataset_may_hold_it(fact):
    row = {"dialogue_id": "a", "user": "b", "required_facts": [fact_record(fact)]}
    blank = any(not wording.strip() for wording in fact.wordings)
    assert blank == bool(check(row, "dialogue"))


@pytest.mark.parametrize(
    ("fact", "form"),
    [
        (Fact(wordings=("rain",)), "rain"),
        (Fact(wordings=("rain", "snow")), ["rain", "snow"]),
        (Fact(wordings=("rain",), turn=1), {"any_of": ["rain"], "turn": 1}),
        (Fact(wordings=("rain", "snow"), form="all_of"), {"all_of": ["rain", "snow"]}),
        (Fact(wordings=("hail",), form="none_of", turn=0), {"none_of": ["hail"], "turn": 0}),
        (Fact(wordings=("ra+in",), form="regex"), {"regex": "ra+in"}),
    ],
)
def test_a_fact_takes_its_shortest_form(fact, form):
    assert fact_record(fact) == form


def test_a_request_says_what_was_sent():
    assert request_record(make_prompt(temperature=0.2, system="Be brief."), DIGEST) == {
        "dialogue_id": "water",
        "turn": 0,
        "repeat": 0,
        "prompt_hash": DIGEST,
        "model": "claude-haiku-4-5",
        "temperature": 0.2,
        "max_tokens": 200,
        "prompt": {"system": "Be brief.", "user": "Where does rain come from?"},
    }


def test_a_later_turn_holds_all_that_was_sent():
    sent = (
        Message(role="user", content="One?"),
        Message(role="assistant", content="1."),
        Message(role="user", content="Two?"),
    )
    record = request_record(make_prompt(messages=sent, turn=1), DIGEST)
    assert record["prompt"]["user"] == "Two?"
    assert record["messages"] == [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1."},
        {"role": "user", "content": "Two?"},
    ]


def test_a_response_has_the_keys_of_the_contract():
    record = response_record(make_turn(), DIGEST)
    assert {
        "dialogue_id",
        "turn",
        "repeat",
        "completion",
        "model",
        "stop_reason",
        "usage",
        "latency_s",
        "request_id",
        "attempts",
        "error",
        "metadata",
    } <= set(record)
    assert (record["completion"], record["error"]) == ("From clouds.", None)


def test_a_failed_call_has_no_completion():
    record = response_record(make_turn(None), DIGEST)
    assert record["completion"] is None
    assert record["error"] == {"type": "overloaded_error", "message": "busy"}


def test_without_metadata_the_key_is_absent():
    assert "metadata" not in response_record(make_turn(), DIGEST, with_metadata=False)


def test_one_turn_is_the_user_several_are_turns():
    assert "turns" not in dialogue_record(make_dialogue())
    assert "user" not in dialogue_record(make_dialogue(turns=("One?", "Two?")))
