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
from grader.writing import write_case

if TYPE_CHECKING:
    from grader.experiments import Case, Dialogue
    from grader.telling import Facts

DRAWS_LIMIT = 20_000
MANY_TOKENS = (8_400, 9_900)
FEW_TOKENS = (211, 1_900)
HARDLY_TOKENS = (17, 120)
FEWEST = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Cases:
    """The experiments of one grade.

    `fresh`, `live` and `rerun` go into one folder, one after the other: they share id, some
    dialogues and, the first two, all settings. `zero` is asked live too, at temperature 0.
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
    many, few = (chance.randrange(*limits) for limits in (MANY_TOKENS, FEW_TOKENS))
    usual = _temperature(chance)
    settings = {"fresh": (usual, many), "live": (usual, many), "rerun": (0, few), "moved": (1, few)}
    calm = {"fresh": (9, 13), "live": (11, 16), "rerun": (4, 8), "moved": (8, 13)}
    facts: dict[str, Facts] = {"fresh": "some", "live": "some", "rerun": "missed", "moved": "none"}
    plans = {
        name: Plan(
            phrases=phrases,
            calm=calm[name],
            facts=facts[name],
            temperature=settings[name][0],
            max_tokens=settings[name][1],
        )
        for name, phrases in zip(("fresh", "live", "rerun", "moved"), parts, strict=True)
    }
    maker = Maker(chance)
    made = {name: maker.draw(plan) for name, plan in plans.items()}
    fresh, moved = made["fresh"], made["moved"]
    live = replace(made["live"], experiment_id=fresh.experiment_id, model=fresh.model)
    return Cases(
        fresh=fresh,
        live=_as_replied(_ask_again(fresh, live)),
        rerun=_ask_again(fresh, replace(made["rerun"], experiment_id=fresh.experiment_id)),
        moved=moved,
        zero=_as_replied(
            replace(
                moved,
                experiment_id=moved.experiment_id + "-b",
                model=made["live"].model + "-b",
                max_tokens=chance.randrange(*HARDLY_TOKENS),
                temperature=0,
                dialogues=moved.dialogues[::-1],
            )
        ),
    )


def chance_of(seed: int, purpose: str) -> random.Random:
    """Give the random numbers of a seed for one purpose."""
    text = f"{GRADER_VERSION}\0{seed}\0{purpose}"
    return random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 -- repeatable


def _temperature(chance: random.Random) -> float:
    return chance.choice([step for step in range(31, 98) if step % 10]) / 100


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
        counts = _telling_counts(plan)
        for _ in range(DRAWS_LIMIT):
            drafts = draft(plan, self._chance.choice(counts), self._chance)
            if is_telling([item.mark for item in drafts], plan.facts):
                case = write_case(plan, drafts, self._names, self._chance)
                if case is not None and is_in_no_order(case):
                    return case
        raise GraderError("no telling case was found for this seed")


def _telling_counts(plan: Plan) -> list[int]:
    """List how many calm answers make a refusal rate that can't be taken for something else."""
    refused = len(plan.phrases) + 1
    counts = range(plan.calm[0], plan.calm[1] + 1)
    return [calm for calm in counts if is_telling_rate(refused / (refused + calm), plan.facts)]


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
