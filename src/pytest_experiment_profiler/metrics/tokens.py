"""A text goes in; its words and numbers come out, alike however they were written.

Most of a text is plain words, which need but be parted, at blanks and most signs, into pieces. The
rest is scanned: the regions, which are runs of pieces that hold or stand beside something else.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cache, cached_property, lru_cache
from itertools import accumulate, compress
from operator import add
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import TYPE_CHECKING, TypeVar

from pytest_experiment_profiler.metrics.folding import fold
from pytest_experiment_profiler.metrics.scanning import SPACELESS, scan
from pytest_experiment_profiler.metrics.vocabulary import BESIDE_NUMBERS, NUMBER_WORDS, SAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_experiment_profiler.metrics.numerals import Token

    Region = tuple[int, int]

T = TypeVar("T")

_PARTING = "".join(set(map(chr, range(128))).difference(ascii_letters, digits, "'.$%+#"))
_PARTED = bytes.maketrans(
    f"{ascii_uppercase}{_PARTING}".encode(), f"{ascii_lowercase}{' ' * len(_PARTING)}".encode()
)
_PLAIN = f"{ascii_lowercase} ".encode()
_UNPLAIN = re.compile(r"[^a-z ]+")
_CAPITAL = re.compile(
    r"[A-Z](?:(?<=[a-z]{2}[A-Z])[a-z]{2}"  # a link glued to a word
    r"|(?<=(?<![A-Za-z])U)S(?![A-Za-z])"
    r"|(?<=(?<![A-Za-z])A)(?![A-Za-z])(?:(?<=\w A)|(?<=[.-]A)|(?=[.-])))"
)
_CONTRACTED = {"'s ": "   "} | {f"'{end} ": f" {end} " for end in ("t", "re", "ll", "ve", "m", "d")}
_RENAMED = SAME | dict.fromkeys(("a", "an", "the", "per"), "") | {"A": "a"}
_FEW = 6
_SHORTEST_STEM = 3
_LONGEST_CACHED = 40


@cache
def _symbol() -> re.Pattern[str]:
    """Match what is no letter and no sign of money; ASCII needs it not, and it takes 3 ms."""
    return re.compile(rf"[^\w\x00-\x7f\u20ac\u00a3\u00a5\u00b0\u0900-\u0dff{SPACELESS}]")


class Tokens:
    """The words and numbers of a text: their keys, and their places in the folded text.

    `stream` is the keys, each between blanks, `letters` the keys without any, `lowered` the text.
    """

    def __init__(self, text: str) -> None:
        """Take the text as it came."""
        self.folded = fold(text)
        plain = self.folded.text
        if not plain.isascii():
            plain = _symbol().sub(" ", plain)
        self._is_plain = plain.isascii()
        if self._is_plain:
            plain = plain.encode("ascii").translate(_PARTED).decode("ascii")
        self._parted = f"{plain} ".replace(". ", "  ")
        if "'" in plain:
            for end, parted in _CONTRACTED.items():
                self._parted = self._parted.replace(end, parted)
        self._pieces = self._parted.split(" ")
        self._lengths = list(map(len, self._pieces))
        self._scanned: list[tuple[Region, list[Token]]] = []
        self._names = self._name_pieces()
        self.keys = list(filter(None, self._names))
        self.stream = f" {' '.join(self.keys)} "
        self.letters = "".join(self.keys)
        self.lowered = self.folded.text.casefold()

    def _name_pieces(self) -> Sequence[str]:
        """Tell what each piece goes by; one that counts for nothing has no name."""
        name = _name_short if max(self._lengths) <= _LONGEST_CACHED else _name
        names = list(map(name, self._pieces))
        for first, last in self._regions():
            start = self._end(first) - self._lengths[first]
            tokens = scan(self.folded.text, start, self._end(last - 1))
            self._scanned.append(((first, last), tokens))
        rename = _RENAMED.get
        scanned = (
            [
                _name(key) if key[-1] == "s" or "." in key else rename(key, key)
                for key, _, _ in tokens
            ]
            for _, tokens in self._scanned
        )
        return self._splice(names, scanned)

    def span(self, place: int) -> Region:
        """Give where a token starts and ends."""
        spot = self._spots[place]
        if isinstance(spot, tuple):
            return spot
        end = self._end(spot)
        return end - self._lengths[spot], end

    @cached_property
    def _spots(self) -> list[int | Region]:
        """The piece that each token is, or where it stands if it was scanned."""
        pieces: Sequence[int | Region] = range(len(self._pieces))
        scanned = ([(start, end) for _, start, end in tokens] for _, tokens in self._scanned)
        return list(compress(self._splice(pieces, scanned), self._names))

    def _splice(self, values: Sequence[T], scanned: Iterable[list[T]]) -> Sequence[T]:
        """Put the values of what was scanned in the place of those of its pieces."""
        if not self._scanned:
            return values
        spliced: list[T] = []
        done = 0
        for ((first, last), _), found in zip(self._scanned, scanned, strict=True):
            spliced += values[done:first]
            spliced += found
            done = last
        return [*spliced, *values[done:]]

    @cached_property
    def _sums(self) -> list[int]:
        return list(accumulate(self._lengths))

    def _end(self, piece: int) -> int:
        """Give where a piece ends; a blank stands between each two."""
        return self._sums[piece] + piece

    def _regions(self) -> list[Region]:
        """Find what must be scanned, one region apart from the next."""
        if not self._is_plain or len(self._pieces) < _FEW:
            return [(0, len(self._pieces))]
        pieces = self._pieces
        regions: list[Region] = []
        for found, end in sorted([*self._unplain(), *self._number_words()]):
            first, last = found, end
            done = regions[-1][1] if regions else 0
            while first > done and pieces[first - 1] in BESIDE_NUMBERS:
                first -= 1
            last = max(last, done)
            while last < len(pieces) and pieces[last] in BESIDE_NUMBERS:
                last += 1
            if regions and first <= done:
                regions[-1] = regions[-1][0], last
            else:
                regions.append((first, last))
        return regions

    def _unplain(self) -> Iterator[Region]:
        """Find the pieces between blanks that hold more than words."""
        text = self.folded.text
        is_plain = not self._parted.encode("ascii").translate(None, _PLAIN)
        spots = [] if is_plain else [found.span() for found in _UNPLAIN.finditer(self._parted)]
        spots += [found.span() for found in _CAPITAL.finditer(text)]
        if not spots:
            return
        blank = text.replace("\n", " ")
        ends = list(map(add, self._sums, range(len(self._sums))))
        done = 0
        for start, end in sorted(spots):
            if end > done:
                begin = max(blank.rfind(" ", done, start) + 1, done)
                done = blank.find(" ", end)
                done = len(text) if done < 0 else done
                yield bisect_left(ends, begin), bisect_right(ends, done)

    def _number_words(self) -> Iterator[Region]:
        if not NUMBER_WORDS.isdisjoint(self._pieces):
            for place, piece in enumerate(self._pieces):
                if piece in NUMBER_WORDS:
                    yield place, place + 1


def _name(word: str) -> str:
    return _name_short(word) if len(word) <= _LONGEST_CACHED else word


@lru_cache(maxsize=65536)
def _name_short(word: str) -> str:
    """Give the name that a word goes by: its abbreviation, unit or singular; "" for none."""
    if word in _RENAMED:
        return _RENAMED[word]
    if word[:1] == "#":
        return word
    word = word.replace(".", "").casefold()
    if len(word) <= _SHORTEST_STEM or word[-1] != "s" or word[-2] in "sui":
        return word
    if word.endswith("ies") and len(word) > len("dies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes", "zes")) else word[:-1]
