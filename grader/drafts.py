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
    *("inside", "within", "quoted", "signed", "grouped", "at_the_end"),
)
MISSES = (
    *("asked", "told", "apart", "elsewhere", "digits", "folded", "foreign", "plural"),
    *("spaced", "joined", "hyphened", "dotted", "straightened", "ended", "raised"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a case must hold: the phrases of its refusals, how many other answers, its facts.

    Each phrase occurs in two cases, of which one has facts to find; `rerun` is the shortest case.
    """

    phrases: tuple[str, ...]
    calm: tuple[int, int]
    facts: Facts
    temperature: float
    max_tokens: int


@dataclass(kw_only=True, slots=True)
class Draft:
    """A dialogue in the making.

    `ways` says of each fact how it is met or missed; `phrase` is what the answer refuses with,
    and `by_signal` an answer that refuses by its stop reason alone.
    """

    phrase: str | None = None
    by_signal: bool = False
    ways: list[str] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Tell whether the answer refuses."""
        return self.by_signal or self.phrase is not None

    @property
    def mark(self) -> Mark:
        """Give what will count of it."""
        return Mark(refused=self.refused, hits=tuple(way in HITS for way in self.ways))


def draft(plan: Plan, calm: int, chance: random.Random) -> list[Draft]:
    """Draft the dialogues of a case: refusals, the one by signal, then as many calm ones."""
    drafts = [Draft(phrase=phrase) for phrase in plan.phrases]
    drafts.append(Draft(by_signal=True))
    drafts += [Draft() for _ in range(calm)]
    if plan.facts == "none":
        return drafts
    ways = [*MISSES, "asked", "apart"]
    if plan.facts == "some":
        ways += [*HITS, *chance.choices(HITS, k=len(drafts) + 8)]
    chance.shuffle(ways)
    # One that refuses and one that doesn't have no facts.
    chosen = drafts[1:-1]
    chance.shuffle(chosen)
    for way, item in itertools.zip_longest(ways, chosen[: len(ways)]):
        (item or chance.choice(chosen)).ways.append(way)
    return drafts
