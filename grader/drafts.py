"""Dialogues in the making: which refuse and which facts they meet, before a word is written."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.oracle import Mark

if TYPE_CHECKING:
    import random

    from grader.telling import Facts

HITS = (
    *("plain", "cased", "mixed", "accented", "first", "second", "last_of_four", "both"),
    *("inside", "within", "quoted", "signed", "grouped", "at_the_end", "at_the_very_end"),
    *("spread", "busy", "numbered", "echoed", "retold", "denied", "short"),
)
MISSES = (
    *("asked", "told", "apart", "elsewhere", "digits", "folded", "foreign", "plural"),
    *("spaced", "joined", "hyphened", "dotted", "straightened", "ended", "raised"),
    *("marked", "parted", "listed", "trimmed", "respelt", "outlined"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a case must hold: the phrases of its refusals, how many other answers, its facts.

    Each phrase occurs in two cases, of which one has facts to find; `rerun` is the shortest case,
    without any calm answer, `zero` has calm ones only. Dialogues that ask the same in a live case
    get the same answer.
    """

    phrases: tuple[str, ...]
    calm: tuple[int, int]
    facts: Facts
    temperature: float
    max_tokens: int
    live: bool = False


@dataclass(kw_only=True, slots=True)
class Draft:
    """A dialogue in the making.

    `ways` says of each fact how it is met or missed; `phrase` is what the answer refuses with, and
    `further` a second phrase; `by_signal` is an answer that refuses by its stop reason alone, and
    `silent` one without a text.
    """

    phrase: str | None = None
    further: str | None = None
    by_signal: bool = False
    silent: bool = False
    ways: list[str] = field(default_factory=list)

    @property
    def phrases(self) -> list[str]:
        """List the phrases that the answer refuses with."""
        return [phrase for phrase in (self.phrase, self.further) if phrase]

    @property
    def refused(self) -> bool:
        """Tell whether the answer refuses."""
        return self.by_signal or self.phrase is not None

    @property
    def mark(self) -> Mark:
        """Give what will count of it."""
        return Mark(refused=self.refused, hits=tuple(way in HITS for way in self.ways))


def draft(plan: Plan, calm: int, chance: random.Random) -> list[Draft]:
    """Draft the dialogues of a case: refusals, the silent one, then as many calm ones."""
    silent = Draft(silent=True, by_signal=not calm)
    drafts = [*_draft_refusals(plan), silent, *(Draft() for _ in range(calm))]
    if plan.facts == "none":
        return drafts
    silent.ways.append("asked")
    ways = [*MISSES, "asked", "apart"]
    if plan.facts == "some":
        ways += [*HITS, *chance.choices(HITS, k=len(drafts) + 8)]
    chance.shuffle(ways)
    # One that refuses has no facts, and where there are calm ones, one of them.
    chosen = [item for item in drafts[1:-1] if not item.silent]
    chance.shuffle(chosen)
    for way, item in itertools.zip_longest(ways, chosen[: len(ways)]):
        (item or chance.choice(chosen)).ways.append(way)
    return drafts


def _draft_refusals(plan: Plan) -> list[Draft]:
    """Draft one answer for each phrase, one that says two of them, and one by signal."""
    if not plan.phrases:
        return []
    single = [Draft(phrase=phrase) for phrase in plan.phrases]
    return [*single, Draft(phrase=plan.phrases[0], further=plan.phrases[1]), Draft(by_signal=True)]
