"""What a run is worth: the worked examples of the definitions, counts, tokens and cost."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.experiment import Reply
from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.metrics.own import Own
from pytest_experiment_profiler.metrics.scores import score_record
from pytest_experiment_profiler.summary import RESERVED
from pytest_experiment_profiler.validation import load_schema
from tests.builders import make_prompt, make_read_transcript, make_transcript, make_turn, sum_up

make = make_read_transcript

EXAMPLES: dict[str, Any] = {
    "one of three refused": (
        [make(3, 3), make(3, 3), make(2, 3, "f")],
        {"fact_coverage": 8 / 9, "refusal_rate": 1 / 3, "geometric_mean": 0.7698},
    ),
    "little found, none refused": (
        [make(1, 3), make(1, 3), make(0, 3)],
        {"fact_coverage": 2 / 9, "refusal_rate": 0.0, "geometric_mean": 0.4714},
    ),
    "macro and micro": (
        [make(1, 1), make(0, 4)],
        {"fact_coverage": 0.5, "fact_coverage_micro": 0.2, "refusal_rate": 0.0}
        | {"geometric_mean": 0.7071},
    ),
    "one without facts, one refused": (
        [make(2, 2), make(), make(0, 2, "f")],
        {"fact_coverage": 0.5, "fact_coverage_answered": 1.0, "refusal_rate": 1 / 3}
        | {"geometric_mean": 0.5774},
    ),
    "an error": (
        [make(3, 3), make(0, 3, "e")],
        {"fact_coverage": 1.0, "refusal_rate": 0.0, "geometric_mean": 1.0, "error_rate": 0.5},
    ),
    "a later turn refused": (
        [make(1, 2, "nf")],
        {"fact_coverage": 0.5, "refusal_rate": 0.5, "geometric_mean": 0.5},
    ),
    "all refused": (
        [make(0, 2, "f"), make(0, 1, "f")],
        {"fact_coverage": 0.0, "fact_coverage_answered": None, "refusal_rate": 1.0}
        | {"geometric_mean": 0.0},
    ),
    "no facts": (
        [make(), make()],
        {"fact_coverage": None, "refusal_rate": 0.0, "geometric_mean": None},
    ),
    "all errors": (
        [make(0, 2, "e"), make(0, 2, "e")],
        {"fact_coverage": None, "refusal_rate": None, "geometric_mean": None, "error_rate": 1.0},
    ),
    "partial refusals do not count": (
        [make(1, 1, "p"), make(1, 1)],
        {"refusal_rate": 0.0, "fact_coverage": 1.0},
    ),
    "an error after an answer": (
        [make(1, 2, "ne"), make(2, 2)],
        {"fact_coverage": 1.0, "refusal_rate": 0.0, "error_rate": 0.5},
    ),
    "repeats are averaged within their dialogue": (
        [[make(1, 1), make(0, 1, repeat=1)], [make(1, 1), make(1, 1, repeat=1)]],
        {"fact_coverage": 0.75, "refusal_rate": 0.0},
    ),
    "an error among repeats": (
        [[make(1, 1), make(0, 1, "e", repeat=1)]],
        {"fact_coverage": 1.0, "error_rate": 0.5},
    ),
    "errors by all that was attempted, however many repeats a dialogue got": (
        [
            [make(0, 1, "e"), make_transcript(not_run="stopped", repeat=1)],
            [make(1, 1), make(1, 1, repeat=1)],
        ],
        {"fact_coverage": 1.0, "error_rate": 1 / 3},
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_examples(name):
    dialogues, expected = EXAMPLES[name]
    found = sum_up(*dialogues, repeats=len(dialogues[0]) if isinstance(dialogues[0], list) else 1)
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=5e-5)


read = st.builds(
    lambda expected, share, labels: make(round(share * expected), expected, labels),
    st.integers(0, 5),
    st.floats(0, 1),
    st.text("npfe", min_size=1, max_size=3).map(lambda text: text.split("e")[0] or "e"),
)


@given(st.lists(read, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_dialogues_does_not_matter(dialogues, random):
    shuffled = random.sample(dialogues, len(dialogues))
    assert sum_up(*dialogues) == sum_up(*shuffled)


@given(st.lists(read, max_size=8))
def test_values_stay_in_their_bounds_and_agree(dialogues):
    found = sum_up(*dialogues)
    coverage, refusals = found["fact_coverage"], found["refusal_rate"]
    assert all(value is None or 0 <= value <= 1 for value in (coverage, refusals))
    mean = found["geometric_mean"]
    if coverage is None or refusals is None:
        assert mean is None
    else:
        assert mean == pytest.approx(math.sqrt(coverage * (1 - refusals)))


def all_but(summary, *keys):
    kept = ("fact_coverage", "fact_coverage_micro", "fact_coverage_answered", "refusal_rate")
    return {name: summary[name] for name in (*kept, "geometric_mean") if name not in keys}


@given(st.lists(read, min_size=1, max_size=6), st.integers(2, 4))
def test_the_same_dialogues_again_change_no_value_and_narrow_each_interval(dialogues, times):
    once, often = sum_up(*dialogues), sum_up(*dialogues * times)
    assert all_but(often) == pytest.approx(all_but(once))
    for name, interval in once["intervals"].items():
        more = often["intervals"][name]
        if interval is not None:
            assert more["high"] - more["low"] <= interval["high"] - interval["low"] + 1e-9


@given(st.lists(read, max_size=6))
def test_a_dialogue_without_facts_changes_no_coverage(dialogues):
    names = ("fact_coverage", "fact_coverage_micro", "fact_coverage_answered")
    before, after = sum_up(*dialogues), sum_up(*dialogues, make(0, 0, "nf"))
    for name in names:
        assert after[name] == before[name]
        assert after["intervals"][name] == before["intervals"][name]


@given(st.lists(read, max_size=6))
def test_an_error_changes_nothing_but_the_rate_of_errors(dialogues):
    before, after = sum_up(*dialogues), sum_up(*dialogues, make(0, 3, "e"))
    assert all_but(after) == all_but(before)
    assert after["error_rate"] > (before["error_rate"] or 0) or before["error_rate"] == 1


@given(st.lists(read, min_size=1, max_size=6), st.data())
def test_a_better_answer_never_lowers_a_value(dialogues, data):
    place = data.draw(st.integers(0, len(dialogues) - 1))
    facts = dialogues[place].facts
    found = sum(fact.found for fact in facts)
    labels = "".join("e" if t.error else "n" for t in dialogues[place].turns)
    better = make(min(found + 1, len(facts)), len(facts), labels)
    before = sum_up(*dialogues)
    after = sum_up(*dialogues[:place], better, *dialogues[place + 1 :])
    for name in ("fact_coverage", "geometric_mean"):
        assert before[name] is None or after[name] >= before[name] - 1e-12
    assert before["refusal_rate"] is None or after["refusal_rate"] <= before["refusal_rate"]


def test_full_precision_is_kept():
    found = sum_up(make(3, 3), make(3, 3), make(2, 3, "f"))
    assert (found["fact_coverage"], found["refusal_rate"]) == (8 / 9, 1 / 3)
    assert found["geometric_mean"] == 0.769800358919501


def test_a_mean_of_fractions_is_not_a_little_less_than_it_is():
    assert sum_up(make(5, 5), make(5, 5), make(2, 5))["fact_coverage"] == 0.8
    assert sum_up(make(1, 5), make(2, 5), make(0, 5))["fact_coverage"] == 0.2
    repeats = [make(1, 5), make(2, 5, repeat=1), make(0, 5, repeat=2)]
    assert sum_up(repeats, repeats=3)["fact_coverage_answered"] == 0.2
    found = sum_up(make(1, 3), make(2, 3), make(3, 3), make(3, 5), tagged(make(4, 5), "x"))
    assert (found["fact_coverage"], found["by_tag"]["x"]["fact_coverage"]) == (0.68, 0.8)


def test_the_keys_of_the_contract_stand_there():
    found = sum_up(make(3, 3), make(3, 3), make(2, 3, "f"))
    assert {
        "schema_version": 1,
        "experiment_id": "demo_run",
        "model": "claude-haiku-4-5",
        "client": "mock",
        "status": "complete",
        "counts": {"dialogues": 3, "selected": 3, "calls": 3}
        | {"errors": 0, "not_run": 0, "reused": 0},
        "tokens": {"input": 0, "output": 0},
        "cost": {"usd": None, "prices_as_of": None},
        "gates": [],
        "comparison": None,
    }.items() <= found.items()
    assert {"intervals", "provenance"} <= set(found)
    interval = found["intervals"]["refusal_rate"]
    assert (interval["low"], interval["high"]) == pytest.approx((0.0615, 0.7923), abs=5e-5)
    assert (interval["level"], interval["n"]) == (0.95, 3)


def tagged(transcript, *tags):
    return replace(transcript, dialogue=replace(transcript.dialogue, extra={"tags": list(tags)}))


def test_metrics_are_told_by_tag():
    dialogues = [
        tagged(make(3, 3), "easy", "short", "easy"),
        tagged(make(1, 4, "f"), "easy"),
        tagged(make(0, 0, "nf"), "short"),
        tagged(make(0, 2, "e"), "broken"),
        make(2, 2),
    ]
    expected = {
        "broken": {"dialogues": 1, "fact_coverage": None, "refusal_rate": None},
        "easy": {"dialogues": 2, "fact_coverage": 0.625, "refusal_rate": 0.5},
        "short": {"dialogues": 2, "fact_coverage": 1.0, "refusal_rate": 1 / 3},
    }
    assert sum_up(*dialogues)["by_tag"] == expected
    assert sum_up(*dialogues[::-1])["by_tag"] == expected


def test_calls_and_errors_are_counted():
    counts = sum_up(make(1, 1, "nn"), make(0, 1, "ne"), make(0, 0, "e"))["counts"]
    assert (counts["calls"], counts["errors"], counts["not_run"]) == (5, 2, 0)


def test_what_was_not_run_makes_a_run_partial():
    left = make_transcript(not_run="stopped: enough")
    found = sum_up(make(1, 1), left)
    assert (found["status"], found["counts"]["not_run"]) == ("partial", 1)
    assert (found["fact_coverage"], found["error_rate"]) == (1.0, 0.0)


def test_errors_and_dialogues_not_run_count_each_repeat():
    repeats = [make(0, 0, "e"), make(0, 0, "e", repeat=1), make_transcript(not_run="x", repeat=2)]
    counts = sum_up(repeats, repeats=3)["counts"]
    assert (counts["errors"], counts["not_run"], counts["dialogues"]) == (2, 1, 1)


def test_rows_are_the_requested_metrics_and_own_ones_by_name():
    found = sum_up(
        make(1, 1), metrics=("refusal_rate",), own=[{"zeal": 1.0, "brevity": (1.0, 2.0)}]
    )
    assert found["metrics"] == ["brevity", "refusal_rate", "zeal"]
    assert (found["zeal"], found["brevity"]) == (1.0, 0.5)


def test_an_own_metric_takes_the_place_of_refusal_rate():
    dialogues = [tagged(make(1, 1, "f"), "x"), tagged(make(0, 1), "x"), make(1, 1)]
    own = [{"refusal_rate": value} for value in (0.0, 1.0, None)]
    found = sum_up(*dialogues, own=own)
    names = ("refusal_rate", "geometric_mean", "fact_coverage_answered")
    assert [found[name] for name in names] == pytest.approx([0.5, math.sqrt(1 / 3), 1.0])
    assert found["metrics"] == ["fact_coverage", "geometric_mean", "refusal_rate"]
    assert found["intervals"]["refusal_rate"]["n"] == 2
    assert found["by_tag"]["x"]["refusal_rate"] == 0.5


def test_an_own_refusal_rate_that_fails_leaves_none():
    odd = Own(values={"refusal_rate": None}, errors={"refusal_rate": "ValueError: no"})
    found = sum_up(tagged(make(1, 1, "f"), "x"), tagged(make(1, 1), "x"), own=[odd, {}])
    assert (found["refusal_rate"], found["geometric_mean"]) == (None, None)
    assert found["by_tag"]["x"] == {"dialogues": 2, "fact_coverage": 1.0, "refusal_rate": None}
    assert found["no_interval"]["refusal_rate"] == "the metric failed"


def test_an_own_ratio_is_the_ratio_of_sums():
    own = [{"brevity": (1.0, 1.0)}, {"brevity": (0.0, 3.0)}, {"brevity": None}]
    assert sum_up(make(), make(), make(), own=own)["brevity"] == 0.25


def test_an_own_metric_without_values_is_null():
    found = sum_up(make(), own=[{"brevity": None}])
    assert found["brevity"] is None
    assert "brevity" in found["metrics"]


def test_own_metrics_cannot_take_a_key_that_says_something_else():
    keys = set(sum_up(make(1, 1)))
    metrics = {"fact_coverage", "refusal_rate", "fact_coverage_micro", "fact_coverage_answered"}
    metrics |= {"error_rate", "empty_rate", "truncated_rate"}
    assert keys - metrics <= RESERVED
    scores = set(score_record(make(1, 1), Own(errors={"odd": "why"})))
    assert scores - metrics <= RESERVED
    gates = load_schema("gates")["properties"]["gates"]["properties"]
    assert set(gates) <= RESERVED


def test_refusals_by_the_providers_word_and_by_the_texts_are_told_apart():
    silent = replace(make(0, 0, "f"), turns=(make_turn("", stop="refusal"),))
    found = sum_up(silent, make(0, 0, "ff"), make(0, 0, "nppe"))
    assert found["refusals"] == {"by_provider": 1, "by_text": 2, "partial": 2}
    assert found["refusal_rate"] == 3 / 6


def test_how_answers_were_read_is_named():
    provenance = sum_up(make(), fact_mode="strict", detector="keywords")["provenance"]
    assert (provenance["fact_mode"], provenance["detector"]) == ("strict", "keywords")
    assert provenance["definitions_version"] == name_definitions()
    assert provenance["refusal_weights"]


def test_every_metric_has_an_interval_or_a_reason():
    found = sum_up(make(1, 2), make(0, 0, "e"), metrics=("refusal_rate",))
    assert set(found["intervals"]) == METRICS.keys() | {"geometric_mean"}
    assert found["intervals"]["error_rate"]["n"] == 2
    assert all(
        interval is not None or found["no_interval"][name]
        for name, interval in found["intervals"].items()
    )
    empty = sum_up(make(0, 0, "e"))
    assert empty["intervals"]["fact_coverage"] is None
    assert empty["no_interval"]["geometric_mean"] == "nothing to count"


def answer(model, **usage):
    turn = make_turn(prompt=make_prompt(model="claude-haiku-4-5"))
    reply = Reply(text="x", model=model, usage=usage)
    return make_transcript(replace(turn, reply=reply, sent_at=1.8e9))


def test_tokens_count_cached_ones_too():
    found = sum_up(
        answer("m", input_tokens=1, cache_read_input_tokens=20, output_tokens=7),
        answer("m", input_tokens=300, cache_creation_input_tokens=4000, output_tokens=None),
        answer("m"),
    )
    assert found["tokens"] == {"input": 4321, "output": 7}


def test_the_model_that_answered_sets_the_price():
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    cheap = sum_up(answer("claude-haiku-4-5", **usage), client="anthropic", priced=True)
    dear = sum_up(answer("claude-opus-4-1", **usage), client="anthropic", priced=True)
    assert cheap["cost"]["usd"] == pytest.approx(1.0)
    assert dear["cost"]["usd"] > cheap["cost"]["usd"]
    assert cheap["cost"]["prices_as_of"]


def test_one_unknown_price_makes_the_sum_unknown():
    usage = {"input_tokens": 1, "output_tokens": 1}
    found = sum_up(
        answer("claude-haiku-4-5", **usage),
        answer("smollm2", **usage),
        client="anthropic",
        priced=True,
    )
    assert (found["cost"]["usd"], found["cost"]["known_calls"]) == (None, 1)


def test_a_failed_call_costs_nothing():
    found = sum_up(
        answer("claude-haiku-4-5", input_tokens=1_000_000, output_tokens=0),
        make(0, 0, "e"),
        client="anthropic",
        priced=True,
    )
    assert found["cost"]["usd"] == pytest.approx(1.0)


@pytest.mark.parametrize("odd", ["12", -1.5, True, [1], {"n": 1}])
def test_odd_token_counts_do_not_break_a_summary(odd):
    found = sum_up(answer("m", input_tokens=odd, output_tokens=3))
    assert found["tokens"]["output"] == 3
