"""Drafts → a case: dialogues and answers in words that no other case has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grader import words
from grader.experiments import Answer, Case, Dialogue
from grader.oracle import mark
from grader.wordings import CURLY, word_fact

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from grader.drafts import Draft, Plan
    from grader.wordings import Names, Worded

REASONS = ("end_turn", "max_tokens", "stop_sequence")
FURTHER_REASONS = ("no_refusal", "model_context_window_exceeded")
LONG = 3
LONGEST = 7  # rerun has fewer: its files are the shorter ones
PAIRS = 2
ASKING = {"asked", "told", "echoed", "retold"}
ODD_TEXTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """Which keys of an answer are there; one without any may be a bare text."""

    reason: bool = False
    model: bool = False
    usage: bool = False
    bare: bool = False


FORMS = (
    Form(reason=True),
    Form(reason=True, model=True),
    Form(bare=True),
    Form(model=True, usage=True),
    Form(reason=True, usage=True),
    Form(),
)


@dataclass(kw_only=True, slots=True)
class Texts:
    """What the texts of a dialogue are put together from."""

    topic: str
    dialogue_id: str
    answer: list[str] = field(default_factory=list)
    ending: str = ""
    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    facts: list[tuple[str, ...]] = field(default_factory=list)

    def end(self, sentence: str, *, far: bool = False) -> None:
        """Put a sentence at the end of a long answer, or of a very long one."""
        if not self.ending:
            self.answer += [words.LONG_TEXT * words.LONG_TIMES] if far else words.FILLERS * LONG
        self.ending = f"{self.ending} {sentence}".lstrip()


def write_case(
    plan: Plan, drafts: Sequence[Draft], names: Names, chance: random.Random
) -> Case | None:
    """Write a case; None where its texts say by chance what they were not meant to."""
    texts = [Texts(topic=names.coin(), dialogue_id=own) for own in names.coin_ids(len(drafts))]
    _add_refusals(drafts, texts, chance)
    _add_near_refusals(drafts, texts)
    speaking = [text for item, text in zip(drafts, texts, strict=True) if not item.silent]
    for item, own in zip(drafts, texts, strict=True):
        for way in item.ways:
            other = chance.choice([text for text in speaking if text is not own])
            _add_fact(word_fact(way, names, chance), own, other)
    answers = _write_answers(drafts, texts, chance)
    parts = zip(texts, answers, strict=True)
    dialogues = [_write_dialogue(n, *pair, names, chance) for n, pair in enumerate(parts)]
    _make_twins(dialogues, drafts, live=plan.live)
    if len({dialogue.user for dialogue in dialogues}) != len(dialogues) - PAIRS:
        return None
    if any(len({*item.facts}) < len(item.facts) for item in dialogues):
        return None  # whether a fact that is told twice counts twice is not said
    if [mark(dialogue) for dialogue in dialogues] != [item.mark for item in drafts]:
        return None
    chance.shuffle(dialogues)
    name = chance.choice(words.NAMES)
    return Case(
        experiment_id=f"{name.capitalize()}-{chance.randrange(100, 1000)}_{chance.choice('kmz')}",
        model=f"{chance.choice(words.THINGS).capitalize()}/{name}-{chance.randrange(2, 90)}:b#2",
        max_tokens=plan.max_tokens,
        temperature=plan.temperature,
        dialogues=tuple(dialogues),
    )


def _add_refusals(drafts: Sequence[Draft], texts: Sequence[Texts], chance: random.Random) -> None:
    """Put each phrase into words: with either apostrophe, loud, in longer words, at the end."""
    pairs = [(item, text) for item, text in zip(drafts, texts, strict=True) if item.phrase]
    refusing = [(item.phrase or "", text) for item, text in pairs if not item.further]
    for item, text in pairs:
        if item.further:
            text.answer += [f"Sorry: {phrase} {words.USUAL_TAILS[0]}" for phrase in item.phrases]
    joined = next((n for n, (phrase, _) in enumerate(refusing) if phrase[:2] == "i "), None)
    for number, (phrase, text) in enumerate(refusing):
        said = phrase.replace("i ", "I ").replace("i'm", "I'm")
        said = said.replace("'", CURLY) if number % 2 else said
        said = said.upper() if number == len(refusing) - 1 else said
        said = chance.choice(words.LONGER_START) + said.lower() if number == joined else said
        said += words.LONGER_END.get(phrase, "")
        tail = words.TAILS.get(phrase) or chance.choice(words.USUAL_TAILS)
        sentence = f"{chance.choice(words.OPENINGS)}{said} {tail}"
        sentence = {1: f'"{sentence}"', 2: f"“{sentence}”"}.get(number, sentence)
        if number == 0:
            text.end(sentence, far=True)
        else:
            text.answer.append(sentence)


def _add_near_refusals(drafts: Sequence[Draft], texts: Sequence[Texts]) -> None:
    """Let answers that don't refuse come close to it."""
    pairs = zip(drafts, texts, strict=True)
    calm = [text for item, text in pairs if not (item.refused or item.silent)][:-1]
    for text, sentence in zip(itertools.cycle(calm), words.ALMOST_REFUSALS, strict=False):
        text.answer.append(sentence)
    for number, text in enumerate(calm):
        refusal = words.ASKED_REFUSALS[number % len(words.ASKED_REFUSALS)]
        text.asked += [refusal] if number % 3 == 0 else []
        text.told += [refusal] if number % 3 == 1 else []


def _add_fact(fact: Worded, own: Texts, other: Texts) -> None:
    own.facts.append(fact.wordings)
    own.asked += [fact.asked] if fact.asked else []
    own.told += [fact.told] if fact.told else []
    own.answer += [fact.answer] if fact.answer else []
    other.answer += [fact.elsewhere] if fact.elsewhere else []
    if fact.ending:
        own.end(fact.ending, far=fact.ending[-1].isspace())


def _write_answers(
    drafts: Sequence[Draft], texts: Sequence[Texts], chance: random.Random
) -> list[Answer]:
    """Write the answers; each stop reason occurs with a refusal and without."""
    forms = {refused: itertools.cycle(FORMS) for refused in (True, False)}
    calm_reasons = REASONS[1:] + FURTHER_REASONS + REASONS[:1]
    reasons = {True: itertools.cycle(REASONS), False: itertools.cycle(calm_reasons)}
    answers = []
    for number, (item, text) in enumerate(zip(drafts, texts, strict=True)):
        own_form = Form(bare=not item.refused) if item.silent else FORMS[-1]
        usual = not (item.silent or item.by_signal)
        form = next(forms[item.refused]) if usual else own_form
        reason = next(reasons[item.refused]) if form.reason else None
        other_model = f"{chance.choice(words.THINGS)}-{chance.randrange(1000, 9999)}"
        tokens = (chance.randrange(9, 99), chance.randrange(9, 99))
        answers.append(
            Answer(
                text="" if item.silent else _write_answer(number, text, chance),
                stop_reason="refusal" if item.by_signal else reason,
                model=other_model if form.model else None,
                usage=tokens if form.usage else None,
                bare=form.bare,
            )
        )
    return answers


def _write_answer(number: int, text: Texts, chance: random.Random) -> str:
    pieces = [*text.answer, chance.choice(words.FILLERS), _odd(number)]
    chance.shuffle(pieces)
    whole = " ".join([*pieces, text.ending]) if text.ending else " ".join(pieces)
    return _add_blanks(whole, number % 3 == 1, number % 3 == 2 and not text.ending)  # noqa: PLR2004


def _odd(number: int) -> str:
    """Give a text that only programs change which do more than they are asked; a few are long."""
    if number == LONGEST:
        return words.LONG_TEXT * words.LONG_TIMES
    if number % ODD_TEXTS == LONG:
        return " ".join(words.ODDITIES)
    return words.ODDITIES[number % len(words.ODDITIES)]


def _add_blanks(text: str, before: bool, after: bool) -> str:  # noqa: FBT001 -- private
    return ("\n  " if before else "") + text + (" \n" if after else "")


def _write_dialogue(
    number: int, text: Texts, answer: Answer, names: Names, chance: random.Random
) -> Dialogue:
    question = [chance.choice(words.QUESTIONS).format(text.topic), *text.asked, _odd(number)]
    odd = _odd(number if number == LONGEST else number + 2)
    system = [chance.choice(words.SYSTEMS).format(names.coin()), *text.told, odd]
    return Dialogue(
        dialogue_id=text.dialogue_id,
        user=_add_blanks(" ".join(question), number % 4 == 1, number % 4 == 2),  # noqa: PLR2004
        system=_add_blanks(" ".join(system), number % 4 == 2, number % 4 == 3)  # noqa: PLR2004
        if text.told or number % 4
        else None,
        facts=tuple(text.facts),
        answer=answer,
    )


def _make_twins(dialogues: list[Dialogue], drafts: Sequence[Draft], *, live: bool) -> None:
    """Let two pairs ask the same: the last with the same system prompt, one without.

    The API can't tell the first two apart, so it gives them one answer; the mock gives two.
    """
    first, last = dialogues[-2:]
    answer = first.answer if live else last.answer
    dialogues[-1] = replace(last, user=first.user, system=first.system, answer=answer)
    second = next(n for n in range(2, len(drafts)) if not ASKING & {*drafts[n].ways})
    system = None if dialogues[0].system else dialogues[1].system
    dialogues[second] = replace(dialogues[second], user=dialogues[0].user, system=system)
