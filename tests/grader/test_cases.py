"""Hidden cases: repeatable, unlike the sample, and telling."""

from __future__ import annotations

import json

import pytest

from grader.cases import SAMPLE_VALUES, make_cases
from grader.oracle import PHRASES, found, measure, refuses
from grader.places import SAMPLE

SEEDS = range(12)
GROUPS = ("fresh", "rerun", "moved", "live")


def cases_of(seed):
    made = make_cases(seed)
    return [getattr(made, group) for group in GROUPS]


def test_a_seed_always_makes_the_same_cases():
    assert make_cases(3) == make_cases(3)
    assert make_cases(3) != make_cases(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_field_is_the_sample_s(seed):
    rows = json.loads((SAMPLE / "experiments/data/dialogues.json").read_text("utf-8"))
    for case in cases_of(seed):
        assert {case.experiment_id, case.model} & {"demo_run", "claude-haiku-4-5"} == set()
        assert case.max_tokens != 200
        assert case.temperature != 0.2
        assert len(case.dialogues) != len(rows)
        assert not {item.dialogue_id for item in case.dialogues} & {r["dialogue_id"] for r in rows}


@pytest.mark.parametrize("seed", SEEDS)
def test_each_case_holds_what_tells_programs_apart(seed):
    for case in cases_of(seed):
        answers = [item.answer for item in case.dialogues]
        by_signal = [a for a in answers if a.stop_reason == "refusal"]
        by_text = [a for a in answers if refuses(a) and a.stop_reason != "refusal"]
        assert by_signal
        assert by_text
        assert len(by_signal + by_text) < len(answers)
        assert not any(phrase in by_signal[0].text.lower() for phrase in PHRASES)
        assert any("\N{RIGHT SINGLE QUOTATION MARK}" in a.text for a in by_text)
        assert {a.model is None for a in answers} == {True, False}
        assert {a.bare for a in answers} == {True, False}
        ids = [item.dialogue_id for item in case.dialogues]
        assert ids not in (sorted(ids), sorted(ids, reverse=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_cases_with_facts_need_both_letter_cases_and_all_wordings(seed):
    made = make_cases(seed)
    for case in (made.fresh, made.live):
        pairs = [(fact, d.answer.text) for d in case.dialogues for fact in d.facts]
        assert any(found(f, text) and not any(w in text for w in f) for f, text in pairs)
        assert any(found(f, text) and not found(f[:1], text) for f, text in pairs)
        assert any(not found(f, text) for f, text in pairs)
        assert any(not d.facts for d in case.dialogues)
        values = measure(case)
        assert values.fact_coverage is not None
        near = (*SAMPLE_VALUES, 0, 1, values.refusal_rate, 1 - values.refusal_rate)
        assert all(abs(values.fact_coverage - value) >= 1e-3 for value in near)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_phrase_decides_in_two_cases(seed):
    texts = [
        item.answer.text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        for case in cases_of(seed)
        for item in case.dialogues
    ]
    for phrase in PHRASES:
        deciding = [t for t in texts if phrase in t and sum(p in t for p in PHRASES) == 1]
        assert len(deciding) >= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_second_run_is_another_and_shorter_one(seed):
    made = make_cases(seed)
    assert made.rerun.experiment_id == made.fresh.experiment_id
    assert len(made.rerun.dialogues) < len(made.fresh.dialogues)
    assert measure(made.rerun).fact_coverage is None
    assert measure(made.rerun).refusal_rate != measure(made.fresh).refusal_rate
