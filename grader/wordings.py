"""Facts in words: how each is met or missed by what is answered, asked or told."""

# ruff: noqa: RUF001 -- signs that look like others are what some facts are about

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader import words

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

CURLY = "\N{RIGHT SINGLE QUOTATION MARK}"
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
UNSEEN = (
    *("\u200b", "\u00ad", "\ufeff", "\u2060", "🚲"),
    *("\u00a0", "\u2003", "\t", "\n", "\r\n", "  ", "%20", "&nbsp;", "\\n", "\\t"),
)
BETWEEN = (" or ", " and ", " the ", " | ", " / ", "; ", ", ", " - ", "**", "––", "$$", "{{", "}}")
RESPELT = (
    *(("é", "e\u0301"), ("o\u0308", "ö"), ("１", "1"), ("–", "-"), ("“", '"'), ("…", "...")),
    *(("&amp;", "&"), ("<", "&lt;"), ("\\\\", "\\"), ("½", "1/2"), ("8", "eight"), ("7.0", "7")),
    *(("07", "7"), ("1 000", "1000"), ("1.5", "1,5"), ("ž", "z"), ("ø", "o"), ("ж", "zh")),
    *(("colour", "color"), ("ing", "ed"), ("kk", "k"), ("rk", "kr"), ("\r\nx", "\nx")),
    *(
        ("$$x", "$x"),
        ("{{x", "{x"),
        ("**x**", "x"),
        ("%%x", "%x"),
        (" %x", "%x"),
        ("<b>x</b>", "x"),
    ),
)


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

    def coin_ids(self, number: int) -> list[str]:
        """Coin ids of dialogues; the first ones differ from each other in as little as may be."""
        ids = [self._coin_id() for _ in range(number)]
        digits = str(self._chance.randrange(10_000, 99_999))
        begin = f"{ids[8 % number]} of the list: no. "
        alike = [
            *(ids[0], ids[0].upper(), ids[2] + "é", ids[2] + "e\u0301", ids[4], f" {ids[4]}"),
            *(digits, f"0{digits}", f"{begin:_<150}1", f"{begin:_<150}2"),
        ]
        return [*alike, *ids[len(alike) :]][:number]

    def _coin_id(self) -> str:
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
    spread = f"{name}\n{further}\t{name}\r\n{further}  {name}"
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
        "numbered": ((f"{rest:03}",), f"1{rest:03}7"),
        "denied": ((name,), f"not {name}, no {name}, and never {name}"),
        "short": ((sign := chance.choice(words.SHORT),), f"{name} {sign.lower()}"),
        "spread": ((spread,), spread.swapcase()),
        "busy": ((f"{name} {words.BUSY}",), f"{name.swapcase()} {words.BUSY}"),
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
        "marked": (_put_between(SIGNS, name, further), f"{name}{further}, {name} {further}"),
        "parted": (_put_between(UNSEEN, name, further), f"{name}{further} and {name} {further}"),
        "listed": (_put_between(BETWEEN, name, further), f"{name} {further}, {name}-{further}"),
        "trimmed": ((f" {name} ", f"\n{name}", f"{name}\n"), f"({name})"),
        "respelt": (
            tuple(f"{name}{one}" for one, _ in RESPELT),
            ", ".join(f"{name}{other}" for _, other in RESPELT),
        ),
        "outlined": (words.META, name),
    }
    if way in met:
        wordings, said = met[way]
        return Worded(wordings=wordings, answer=mention(said))
    return {
        "at_the_end": Worded(wordings=(name,), ending=f"In a word: {name}"),
        "echoed": Worded(wordings=(name,), answer=mention(name), asked=f"Is it {name}?"),
        "retold": Worded(wordings=(name,), answer=mention(name), told=f"It may be {name}."),
        "at_the_very_end": Worded(wordings=(f"{name} \n",), ending=f"In short: {name} \n"),
        "asked": Worded(wordings=(name,), asked=f"Mention {name} if it matters."),
        "told": Worded(wordings=(name,), told=f"The reader knows {name}."),
        "elsewhere": Worded(wordings=(name, further), elsewhere=f"Compare {name}."),
    }[way]


def _put_between(joints: Iterable[str], first: str, second: str) -> tuple[str, ...]:
    return tuple(f"{first}{joint}{second}" for joint in joints)
