"""A wording of a fact goes in; every way to say it comes out, as keys of tokens."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.metrics.likeness import INFLECTIONS, SLIPS
from pytest_experiment_profiler.metrics.numerals import is_number
from pytest_experiment_profiler.metrics.scanning import CAPITALS, is_spaceless
from pytest_experiment_profiler.metrics.tokens import Tokens
from pytest_experiment_profiler.metrics.vocabulary import (
    DIRECTIONS,
    LIGHT,
    MONTH_NAMES,
    SHORT_FOR,
    SUFFIXES_OF_NAMES,
    TITLES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Keys = tuple[str, ...]

_ASIDE = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]")
_NICKNAME = re.compile(r"""(?<=\w)\s+(["'])[^"']+\1(?=\s+\w)""")
_ROMANS = {
    f"{tens}{ones}": f"{10 * ten + one}"
    for ten, tens in enumerate(("", "X", "XX", "XXX"))
    for one, ones in enumerate(("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"))
    if tens or ones
}
_LETTERS = {number: roman.lower() for roman, number in _ROMANS.items()}
_LENGTHS_OF_YEARS = {len("#793"), len("#1793")}
_FEWEST_NAMES, _MOST_NAMES = 3, 5


class Word(NamedTuple):
    """A word of weight in a wording: its key, whether it is a name, or can't be done without.

    One that is `bare` (a number, a month) says too little to be found alone.
    `sign` is what stands in the keys of every text that holds it, or another form of it.
    """

    key: str
    name: bool
    fixed: bool
    bare: bool
    sign: str


class Row(NamedTuple):
    """Keys in a row, each between blanks, and the same without any."""

    keys: str
    letters: str


class Bag(NamedTuple):
    """Keys of some weight, in any order, and among how many tokens they must stand.

    `sure` are those, between blanks, that no other word is like.
    """

    keys: Keys
    width: int
    sure: Keys


class Date(NamedTuple):
    """The keys of the month and the year of a date."""

    month: str
    year: str


class Wording(NamedTuple):
    """A wording, read: as it is written, its variants, and the words that carry it.

    `words` are those without asides and titles, empty where words aren't parted.
    """

    text: str
    rows: tuple[Row, ...]
    bags: tuple[Bag, ...]
    words: tuple[Word, ...]
    date: Date | None


@lru_cache(maxsize=16384)
def read_wording(wording: str) -> Wording:
    """Read a wording once for many answers."""
    bare = _without_asides(wording)
    core = " ".join(_without_titles([word for word in bare.split() if _bare(word) != "the"]))
    variants = dict.fromkeys((wording, bare, core, *_variants(wording, bare, core)))
    tokens = {variant: Tokens(variant) for variant in variants}
    rows = [tuple(one.keys) for one in tokens.values() if one.keys]
    roman = [(*row[:-1], _LETTERS[row[-1].strip("#th")]) for row in rows if _is_ordinal(row)]
    lowered = tokens[wording].lowered
    words = () if is_spaceless(lowered) else tuple(_words(tokens[core]))
    bags = [_weighty(row) for row in rows] if any(word.key not in LIGHT for word in words) else []
    return Wording(
        text="" if wording.strip() in CAPITALS else lowered.strip(),
        rows=tuple(map(_row, dict.fromkeys((*rows, *roman)))),
        bags=tuple(map(_bag, dict.fromkeys(bags))),
        words=words,
        date=_date([word.key for word in words]),
    )


@lru_cache(maxsize=16384)
def name_wording(wording: str) -> str:
    """Give what is the same in wordings that no match can tell apart."""
    rows = read_wording(wording).rows
    return rows[0].keys if rows else wording.casefold()


def _row(keys: Keys) -> Row:
    return Row(f" {' '.join(keys)} ", "".join(keys))


def _bag(keys: Keys) -> Bag:
    is_date = any(key in MONTH_NAMES for key in keys) and any(map(is_number, keys))
    sure = tuple(f" {key} " for key in keys if is_number(key) or len(key) < SLIPS.shortest)
    return Bag(keys, len(keys) + 1 if is_date else 2 * len(keys) + 4, sure)


def _date(keys: Sequence[str]) -> Date | None:
    month = next((key for key in keys if key in MONTH_NAMES), None)
    year = next((key for key in keys if is_number(key) and len(key) in _LENGTHS_OF_YEARS), None)
    if month is None or year is None or any(not is_number(key) for key in keys if key != month):
        return None
    return Date(month, year)


def _without_asides(wording: str) -> str:
    bare = _NICKNAME.sub("", _ASIDE.sub("", wording)).strip()
    return bare if any(char.isalnum() for char in bare) else wording


def _without_titles(words: list[str]) -> list[str]:
    first, last = 0, len(words)
    while first < last - 1 and _bare(words[first]) in TITLES:
        first += 1
    while first < last - 1 and _bare(words[last - 1]) in SUFFIXES_OF_NAMES:
        last -= 1
    return words[first:last]


def _bare(word: str) -> str:
    return word.strip(".,").casefold()


def _variants(wording: str, bare: str, core: str) -> Iterator[str]:
    yield from (aside for aside in _ASIDE.findall(wording) if _is_acronym(aside, bare))
    words = core.split()
    for place, word in enumerate(words):
        number = _ROMANS.get(word.strip(".,"))
        if place and number:
            yield " ".join([*words[:place], number, *words[place + 1 :]])
            yield " ".join([*words[:place], f"{number}th", *words[place + 1 :]])
    yield from _short_names(words)
    yield from SHORT_FOR.get(core) or SHORT_FOR.get(core.casefold()) or ()


def _is_acronym(one: str, other: str) -> bool:
    """Tell whether one of two is made of letters of the other, in order."""
    short, long = sorted((one.replace(".", ""), other), key=len)
    if not (len(short) > 1 and short.isupper() and short.isalpha()):
        return False
    letters = iter(long.upper())
    return long[:1].upper() == short[0] and all(letter in letters for letter in short)


def _short_names(words: list[str]) -> Iterator[str]:
    """Leave out initials, then middle names."""
    if not _FEWEST_NAMES <= len(words) <= _MOST_NAMES or not all(
        word[0].isupper() for word in words
    ):
        return
    full = [*(word for word in words[:-1] if len(word.strip(".")) > 1), words[-1]]
    if len(full) > 1:
        yield " ".join(full)
        if full[-1] not in _ROMANS and _bare(full[0]) not in LIGHT:
            yield f"{full[0]} {full[-1]}"


def _is_ordinal(row: Keys) -> bool:
    """Tell whether a row ends with a number that may be written in Roman letters."""
    return len(row) > 1 and is_number(row[-1]) and row[-1].strip("#th") in _LETTERS


def _weighty(row: Keys) -> Keys:
    return tuple(dict.fromkeys(key for key in row if key not in LIGHT)) or row


def _words(tokens: Tokens) -> Iterable[Word]:
    text = tokens.folded.text
    words: dict[str, Word] = {}
    for place, key in enumerate(tokens.keys):
        if key not in LIGHT:
            start, end = tokens.span(place)
            bare = is_number(key) or key in MONTH_NAMES or _is_numeral(text, start, end)
            name = text[start].isupper()
            fixed = bare or any(map(str.isdigit, key)) or (name and key in DIRECTIONS)
            words.setdefault(key, Word(key, name, fixed, bare, _sign(key, is_whole=name)))
    return words.values()


def _sign(key: str, *, is_whole: bool) -> str:
    whole = is_whole or is_number(key) or len(key) < INFLECTIONS.shortest
    return f" {key} " if whole else f" {key[: INFLECTIONS.start]}"


def _is_numeral(text: str, start: int, end: int) -> bool:
    """Tell the II of "Elizabeth II" and the B of "hepatitis B"."""
    return start > 0 and (text[start:end] in _ROMANS or start + 1 == end == len(text))
