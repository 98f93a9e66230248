"""Facts in words: how each is met or missed by what is answered, asked or told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader import words

if TYPE_CHECKING:
    import random

CURLY = "\N{RIGHT SINGLE QUOTATION MARK}"


class Names:
    """Coin names that no other name holds, or stands in."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._coined: set[str] = set()
        self._all = ""

    def coin(self, *, accented: bool = False) -> str:
        """Coin a name, every other one with a letter beyond ASCII."""
        while True:
            name = "".join(self._chance.sample(words.SYLLABLES, 3)).capitalize()
            if accented or self._chance.random() < 0.5:  # noqa: PLR2004 -- every other one
                name += self._chance.choice(words.ACCENTED) + self._chance.choice("nrk")
            if self._keep(name):
                return name

    def coin_foreign(self) -> str:
        """Coin a name without any letter of ASCII."""
        while True:
            name = "".join(self._chance.sample(words.FOREIGN, 3)).capitalize()
            if self._keep(name):
                return name

    def coin_id(self) -> str:
        """Coin the id of a dialogue."""
        while True:
            letter, number = self._chance.choice("kmrtvz"), self._chance.randrange(100, 999)
            name = f"{letter}{number}-{self._chance.choice(words.SYLLABLES).capitalize()}"
            if self._keep(name):
                return name

    def _keep(self, name: str) -> bool:
        lower = name.lower()
        ends = range(1, len(lower) + 1)
        parts = {lower[start:end] for end in ends for start in range(end)}
        if lower in self._all or not parts.isdisjoint(self._coined):
            return False
        self._coined.add(lower)
        self._all += lower + "\n"
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Worded:
    """The wordings of a fact, and what is said of it.

    `answer` and `ending` stand in the answer, `elsewhere` in another dialogue's, `asked` in the
    question and `told` in the system prompt.
    """

    wordings: tuple[str, ...]
    answer: str = ""
    ending: str = ""
    elsewhere: str = ""
    asked: str = ""
    told: str = ""


def word_fact(way: str, names: Names, chance: random.Random) -> Worded:
    """Put a fact into words in one of the ways to meet or to miss it."""
    name, further = names.coin(accented=way == "accented"), names.coin()
    thousands, rest = divmod(chance.randrange(2_100, 9_900), 1000)
    number = f"{thousands},{rest:03}"
    mention = chance.choice(words.MENTIONS).format
    met = {
        "plain": ((name,), name),
        "cased": ((name,), chance.choice((name.upper(), name.lower()))),
        "mixed": ((name,), name.swapcase()),
        "accented": ((name,), name.upper()),
        "first": ((name, further), name),
        "second": ((name, f"{further} Hall"), f"{further} hall"),
        "last_of_four": ((f"{name} I", f"{name} II", f"{name} V", further), further.lower()),
        "both": ((name, further), f"{further} or {name}"),
        "inside": ((name,), f"{name}ish"),
        "within": ((name,), f"Neu{name.lower()}"),
        "quoted": ((f"{name}s{CURLY} gate",), f"{name}s{CURLY} gate"),
        "signed": ((f"{name} (no. {number}+)",), f"{name} (no. {number}+)"),
        "grouped": ((number,), number),
        # Missed, if only by a letter, a sign or a blank:
        "apart": ((f"{name} {further}",), f"{further}, then long after that {name}"),
        "digits": ((number,), f"{thousands}{rest:03}"),
        "folded": ((f"{name}är",), f"{name}ar or {name}r"),
        "foreign": ((names.coin_foreign(),), name),
        "plural": ((f"{name}s",), name),
        "spaced": ((f"{name} {further}",), f"{name}\n{further}, {name}  {further}"),
        "joined": ((f"{name} {further}",), f"{name}{further}"),
        "hyphened": ((f"{name} {further}",), f"{name}-{further}"),
        "dotted": ((f"St. {name}",), f"St {name}"),
        "straightened": ((f"{name}s{CURLY} gate",), f"{name}s' gate"),
        "ended": ((f"{name}?",), name),
        "raised": ((f"{name}²",), f"{name}2"),
    }
    if way in met:
        wordings, said = met[way]
        return Worded(wordings=wordings, answer=mention(said))
    return {
        "at_the_end": Worded(wordings=(name,), ending=f"In a word: {name}"),
        "asked": Worded(wordings=(name,), asked=f"Mention {name} if it matters."),
        "told": Worded(wordings=(name,), told=f"The reader knows {name}."),
        "elsewhere": Worded(wordings=(name, further), elsewhere=f"Compare {name}."),
    }[way]
