"""Hidden cases: repeatable, unlike the sample, and telling."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader import words
from grader.cases import chance_of, is_in_no_order, make_cases
from grader.drafts import HITS, MISSES
from grader.oracle import PHRASES, Mark, found, mark, measure, refuses, sum_up
from grader.places import SAMPLE
from grader.telling import SAMPLE_VALUES, is_telling
from grader.wordings import Names, word_fact

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = range(12)
ENOUGH = 3
LONG = 8_000
ASKED = ("fresh", "rerun", "moved", "live")
CALM = ("fresh", "moved", "live", "zero")


def cases_of(seed, groups=ASKED):
    made = make_cases(seed)
    return [getattr(made, group) for group in groups]


def calm_answers(case):
    return [item.answer for item in case.dialogues if not refuses(item.answer)]


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
        assert not any(phrase in by_signal[0].text.lower() for phrase in PHRASES)
        assert any("\N{RIGHT SINGLE QUOTATION MARK}" in a.text for a in by_text)
        assert {a.model in {None, case.model} for a in answers} == {True, False}
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
    assert made.rerun.experiment_id == made.live.experiment_id == made.fresh.experiment_id
    assert len(made.rerun.dialogues) < len(made.fresh.dialogues)
    assert measure(made.rerun).fact_coverage == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_later_runs_ask_some_of_the_same_and_get_other_answers(seed):
    made = make_cases(seed)
    earlier = {item.dialogue_id: item for item in made.fresh.dialogues}
    for case in (made.live, made.rerun):
        again = [item for item in case.dialogues if item.dialogue_id in earlier]
        assert len(again) >= 3
        assert len(again) < len(case.dialogues)
        for item in again:
            old = earlier[item.dialogue_id]
            assert (item.user, item.system) == (old.user, old.system)
            assert item.answer.text != old.answer.text


@pytest.mark.parametrize("seed", SEEDS)
def test_some_run_has_no_refusal_and_some_nothing_else(seed):
    made = make_cases(seed)
    assert measure(made.rerun).refusal_rate == 1
    assert measure(made.zero).refusal_rate == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_one_run_is_nearly_as_long_as_an_experiment_may_be(seed):
    assert 64 < len(make_cases(seed).moved.dialogues) <= 100


@pytest.mark.parametrize("seed", SEEDS)
def test_ids_differ_in_little_and_are_long(seed):
    for case in cases_of(seed, ("fresh", "moved")):
        ids = {item.dialogue_id for item in case.dialogues}
        forms: tuple[Callable[[str], str], ...] = (
            str.lower,
            str.strip,
            lambda name: unicodedata.normalize("NFC", name),
            lambda name: name.lstrip("0"),
            lambda name: name[:140],
        )
        for form in forms:
            assert len({form(name) for name in ids}) < len(ids)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_may_be_empty_and_texts_be_long(seed):
    for case in cases_of(seed, ("fresh", "moved", "zero")):
        assert any(not item.answer.text for item in case.dialogues)
        for text_of in (lambda d: d.answer.text, lambda d: d.user, lambda d: d.system or ""):
            assert max(len(text_of(item)) for item in case.dialogues) > LONG


@pytest.mark.parametrize("seed", SEEDS)
def test_two_pairs_ask_the_same(seed):
    made = make_cases(seed)
    for case in [*cases_of(seed), made.zero]:
        asked: dict[str, list] = {}
        for item in case.dialogues:
            asked.setdefault(item.user, []).append(item)
        pairs = [pair for pair in asked.values() if len(pair) > 1]
        same = [pair[0].system == pair[1].system for pair in pairs]
        assert sorted(same) == [False, True]
        for pair in pairs:
            if pair[0].system == pair[1].system:
                assert (pair[0].answer == pair[1].answer) is (case in (made.live, made.zero))


@pytest.mark.parametrize("seed", SEEDS)
def test_texts_keep_blanks_at_their_ends(seed):
    made = make_cases(seed)
    for case in (made.fresh, made.live, made.moved):
        for texts in (
            [item.answer.text for item in case.dialogues],
            [item.user for item in case.dialogues],
            [item.system for item in case.dialogues if item.system],
        ):
            assert any(text != text.lstrip() for text in texts)
            assert any(text != text.rstrip() for text in texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_stop_reason_occurs_with_a_refusal_and_without(seed):
    for case in cases_of(seed, CALM):
        calm = {answer.stop_reason for answer in calm_answers(case)}
        assert {"max_tokens", "stop_sequence", "no_refusal"} <= calm
    for case in cases_of(seed):
        assert any(
            refuses(item.answer) and item.answer.stop_reason == "end_turn"
            for item in case.dialogues
        )


def test_each_way_to_meet_a_fact_meets_it_and_each_way_to_miss_it_misses():
    chance = chance_of(0, "ways")
    names = Names(chance)
    for way in (*HITS, *MISSES):
        fact = word_fact(way, names, chance)
        assert found(fact.wordings, f"{fact.answer} {fact.ending}") is (way in HITS), way


WRONG_READINGS = {
    "blanks evened out": lambda text: " ".join(text.split()),
    "blanks left out": lambda text: "".join(text.split()),
    "letters and digits only": lambda text: "".join(c for c in text if c.isalnum()),
    "hyphens as blanks": lambda text: text.replace("-", " "),
    "ASCII only": lambda text: text.encode("ascii", "ignore").decode(),
    "accents left out": lambda text: unicodedata.normalize("NFKD", text).encode("ascii", "ignore"),
    "commas left out": lambda text: text.replace(",", ""),
    "apostrophes alike": lambda text: text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"),
    "signs at the ends left out": lambda text: text.strip(".,!?"),
    "no plural": lambda text: text.removesuffix("s"),
    "letter case kept": None,
    "signs evened out": lambda text: re.sub(r"[^\w ]+", " ", text),
    "one form of signs": lambda text: unicodedata.normalize("NFC", text),
    "entities read": html.unescape,
    "unseen signs left out": lambda text: re.sub("[\u200b\u00ad\ufeff]", "", text),
    "no doubled sign": lambda text: text.replace("$$", "$"),
    "ends left out": str.strip,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reading", WRONG_READINGS)
def test_a_wrong_reading_of_facts_is_seen_in_every_case_with_facts(seed, reading):
    change: Callable[[str], Any] | None = WRONG_READINGS[reading]
    made = make_cases(seed)
    cases = [made.fresh, made.live] + ([made.rerun] if change else [])
    for case in cases:
        marks = [mark(item) for item in case.dialogues]
        wrong = [
            Mark(
                refused=own.refused,
                hits=tuple(
                    any(read(change, wording) in read(change, item.answer.text) for wording in fact)
                    for fact in item.facts
                ),
            )
            for item, own in zip(case.dialogues, marks, strict=True)
        ]
        right, got = sum_up(marks).fact_coverage, sum_up(wrong).fact_coverage
        assert right != pytest.approx(got, abs=1e-3)


def read(change, text):
    return change(text.lower()) if change else text


READINGS_OF_REFUSALS = {
    "blanks evened out": lambda text: " ".join(text.split()),
    "marks left out": lambda text: text.replace("*", "").replace("_", ""),
    "commas left out": lambda text: text.replace(",", ""),
    "hyphens as blanks": lambda text: text.replace("-", " "),
    "unseen signs left out": lambda text: text.replace("\u200b", ""),
    "entities read": html.unescape,
    "one form of signs": lambda text: unicodedata.normalize("NFKC", text),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reading", READINGS_OF_REFUSALS)
def test_a_wrong_reading_of_refusals_is_seen_in_every_case(seed, reading):
    change = READINGS_OF_REFUSALS[reading]
    for case in cases_of(seed, CALM):
        changed = (replace(answer, text=change(answer.text)) for answer in calm_answers(case))
        assert any(map(refuses, changed))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("odd", words.ODDITIES)
def test_texts_hold_what_only_too_busy_programs_change(seed, odd):
    for text_of in (lambda d: d.answer.text, lambda d: d.user, lambda d: d.system or ""):
        seen = [
            any(odd in text_of(item) for item in case.dialogues) for case in cases_of(seed, CALM)
        ]
        assert sum(seen) >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
def test_any_further_word_for_a_refusal_is_seen_in_every_case(seed):
    for case in cases_of(seed, CALM):
        calm = " ".join(answer.text for answer in calm_answers(case)).lower()
        for word in ("sorry", "cannot", "can't", "unable", "not able", "decline", "guidelines"):
            assert word in calm
        for word in ("unfortunately", "as an ai", "i can not", "i cant help", "we can't help"):
            assert word in calm


@pytest.mark.parametrize("seed", SEEDS)
def test_phrases_stand_inside_longer_words_too(seed):
    for case in cases_of(seed):
        texts = [item.answer.text.lower() for item in case.dialogues if refuses(item.answer)]
        assert any(re.search(r"\wi (?:can|am|will|must|won)", text) for text in texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cases_are_in_no_order_and_tell(seed):
    made = make_cases(seed)
    for case in cases_of(seed):
        assert is_in_no_order(case)
    for case in (made.fresh, made.live):
        assert is_telling([mark(item) for item in case.dialogues], "some")
    assert is_telling([mark(item) for item in made.rerun.dialogues], "missed")
