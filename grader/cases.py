"""Hidden cases: a seed goes in, experiments that no submission has seen come out."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader import GRADER_VERSION
from grader.drafts import Plan, draft
from grader.errors import GraderError
from grader.oracle import PHRASES
from grader.telling import is_telling, is_telling_rate
from grader.wordings import Names
from grader.words import NAMES
from grader.writing import write_case

if TYPE_CHECKING:
    from grader.experiments import Case, Dialogue

DRAWS_LIMIT = 20_000
MANY_TOKENS = (16_500, 21_000)  # with more the SDK asks for streaming
FEW_TOKENS = (211, 1_900)
HARDLY_TOKENS = (2, 15)
FEWEST = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Cases:
    """The experiments of one grade.

    `fresh`, `live` and `rerun` go into one folder, one after the other: they share id, some
    dialogues and, the first two, all settings. `moved` is a long one; `zero` is asked live too, at
    temperature 0.
    """

    fresh: Case
    rerun: Case
    moved: Case
    live: Case
    zero: Case


def make_cases(seed: int) -> Cases:
    """Make the cases of a seed."""
    chance = chance_of(seed, "cases")
    parts = _deal_phrases(chance)
    many, few, hardly = (
        chance.randrange(*limits) for limits in (MANY_TOKENS, FEW_TOKENS, HARDLY_TOKENS)
    )
    usual = _temperature(chance)
    plans = {
        "fresh": Plan(parts[0], (9, 13), "some", usual, many),
        "live": Plan(parts[1], (11, 16), "some", usual, many, live=True),
        "rerun": Plan(parts[2], (0, 0), "missed", 0, few),
        "moved": Plan(parts[3], (51, 60), "none", 1, few),
        "zero": Plan((), (8, 12), "none", 0, hardly, live=True),
    }
    maker = Maker(chance)
    made = {name: maker.draw(plan) for name, plan in plans.items()}
    fresh = made["fresh"]
    live = replace(made["live"], experiment_id=fresh.experiment_id, model=fresh.model)
    return Cases(
        fresh=fresh,
        live=_as_replied(_ask_again(fresh, live)),
        rerun=_ask_again(fresh, replace(made["rerun"], experiment_id=fresh.experiment_id)),
        moved=replace(made["moved"], experiment_id=_long_name(chance, made["moved"])),
        zero=_as_replied(made["zero"]),
    )


def chance_of(seed: int, purpose: str) -> random.Random:
    """Give the random numbers of a seed for one purpose."""
    text = f"{GRADER_VERSION}\0{seed}\0{purpose}"
    return random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 -- repeatable


def _temperature(chance: random.Random) -> float:
    return chance.choice([step for step in range(3_101, 9_800) if step % 10]) / 10_000


def _long_name(chance: random.Random, case: Case) -> str:
    """Give a long id that starts with a digit."""
    return "-".join([str(chance.randrange(2, 90)), *chance.sample(NAMES, 6), case.experiment_id])


def _deal_phrases(chance: random.Random) -> list[tuple[str, ...]]:
    """Deal all phrases to the first two cases and again to the last two.

    Shuffle until each case has two with an apostrophe, to be written in both ways.
    """
    phrases = list(PHRASES)
    while True:
        chance.shuffle(phrases)
        parts = [phrases[:7], phrases[7:], phrases[5:9], phrases[:5] + phrases[9:]]
        if min(sum("'" in phrase for phrase in part) for part in parts) > 1:
            return [tuple(sorted(part, key=lambda phrase: "'" not in phrase)) for part in parts]


class Maker:
    """Make cases that share no name with each other."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._names = Names(chance)

    def draw(self, plan: Plan) -> Case:
        """Redraw until no wrong formula could give the right value."""
        counts = _telling_counts(plan, self._chance)
        for _ in range(DRAWS_LIMIT):
            drafts = draft(plan, self._chance.choice(counts), self._chance)
            if is_telling([item.mark for item in drafts], plan.facts):
                case = write_case(plan, drafts, self._names, self._chance)
                if case is not None and is_in_no_order(case):
                    return case
        raise GraderError("no telling case was found for this seed")


def _telling_counts(plan: Plan, chance: random.Random) -> list[int]:
    """List how many calm answers make a refusal rate that can't be taken for something else."""
    found = []
    for calm in range(plan.calm[0], plan.calm[1] + 1):
        marks = [item.mark for item in draft(plan, calm, chance)]
        rate = sum(mark.refused for mark in marks) / len(marks)
        found += [calm] if is_telling_rate(rate, plan.facts) else []
    return found


def is_in_no_order(case: Case) -> bool:
    """Tell whether ids are unique, and neither they nor the questions stand in order."""
    ids = [dialogue.dialogue_id for dialogue in case.dialogues]
    users = [dialogue.user for dialogue in case.dialogues]
    orders = [column in (sorted(column), sorted(column, reverse=True)) for column in (ids, users)]
    return len(set(ids)) == len(ids) and not any(orders)


def _ask_again(earlier: Case, case: Case) -> Case:
    """Let half of a case ask what an earlier one asked, under the same ids."""
    donors = sorted(_lone(earlier), key=lambda item: not _has_blanks(item))
    receivers = sorted(_lone(case), key=_facts_told)
    number = max(FEWEST, len(receivers) // 2)
    asked = {
        item.dialogue_id: replace(
            item, dialogue_id=donor.dialogue_id, user=donor.user, system=donor.system
        )
        for item, donor in zip(receivers[:number], donors, strict=False)
    }
    dialogues = tuple(asked.get(item.dialogue_id, item) for item in case.dialogues)
    return replace(case, dialogues=dialogues)


def _lone(case: Case) -> list[Dialogue]:
    """List the dialogues whose question no other one asks."""
    users = Counter(dialogue.user for dialogue in case.dialogues)
    return [dialogue for dialogue in case.dialogues if users[dialogue.user] == 1]


def _has_blanks(dialogue: Dialogue) -> bool:
    """Tell whether blanks stand at an end of what is asked."""
    return any(text != text.strip() for text in (dialogue.user, dialogue.system or ""))


def _facts_told(dialogue: Dialogue) -> int:
    """Rank by what would be lost with the question: nothing, a fact in it, one told beside it."""
    wordings = [wording for fact in dialogue.facts for wording in fact]
    told = any(wording in (dialogue.system or "") for wording in wordings)
    return 2 * told + any(wording in dialogue.user for wording in wordings)


def _as_replied(case: Case) -> Case:
    """Give each answer what every reply of the API has."""
    return replace(
        case,
        dialogues=tuple(
            replace(
                item,
                answer=replace(
                    item.answer,
                    model=item.answer.model or case.model,
                    stop_reason=item.answer.stop_reason or "end_turn",
                ),
            )
            for item in case.dialogues
        ),
    )
