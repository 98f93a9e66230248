"""A text goes in; its plain letters and digits come out, and where each of them stood."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

_COMPOSED = "[^\u3099\u309a][\u3099\u309a]|[\u1100-\u11ff]{1,16}"
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]")
_ODD = re.compile("[^\x00-\x7f]|`")
_PARTS = frozenset("\u3099\u309a").union(map(chr, range(0x1100, 0x1200)))
_LONGEST = 4
_FEW = 20
_PLAIN = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4`", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
    **dict.fromkeys("\u2010\u2011\u2212\ufe63", "-"),
    **dict.fromkeys("\u2012\u2014\u2015\u2e3a\u2e3b", "\u2013"),
    **dict(zip("\u00f8\u00d8\u0142\u0141\u0111\u0110\u00f0\u00d0\u0131", "oOlLdDdDi", strict=True)),
    **dict(zip("\u00df\u00e6\u00c6\u0153\u0152", ("ss", "ae", "AE", "oe", "OE"), strict=True)),
    **dict(zip("\u1e9e\u00fe\u00de\u03c2\u0640", ("SS", "th", "Th", "\u03c3", ""), strict=True)),
}

Piece = tuple[int, int, int | None]


class Folded(NamedTuple):
    """A text without accents, invisible characters and typographic variants; case is kept.

    `pieces`: (start here, start in the original, its end there or None), sorted. A piece with an
    end changed its length and counts as a whole; the others run on character by character.
    """

    text: str
    pieces: tuple[Piece, ...] = ((0, 0, None),)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the place in the original text of a place in the folded one."""
        if len(self.pieces) == 1:
            return start, end
        here, there, whole = self._piece(start)
        first = there if whole is not None else there + start - here
        here, there, whole = self._piece(max(end - 1, 0))
        return first, whole if whole is not None else there + end - here

    def _piece(self, place: int) -> Piece:
        return self.pieces[bisect_right(self.pieces, place, key=lambda piece: piece[0]) - 1]


def fold(text: str) -> Folded:
    """Fold a text and keep the way back to its places."""
    if text.isascii():
        return Folded(text=text.replace("`", "'"))
    plain = {char: _fold_character(char) for char in {*_ODD.findall(text)}}
    uneven = "".join(char for char, new in plain.items() if len(new) != 1)
    odd = [f"[{re.escape(uneven)}]+"] if uneven else []
    odd += [] if _PARTS.isdisjoint(plain) else [_COMPOSED]
    if not odd:
        return Folded(text=_replace(text, plain))
    parts: list[str] = []
    pieces: list[Piece] = [(0, 0, None)]
    done = here = 0
    for found in re.finditer("|".join(odd), text):
        start, end = found.span()
        new = _replace(unicodedata.normalize("NFC", found[0]), plain)
        parts += (_replace(text[done:start], plain), new)
        here += start - done
        pieces += ((here, start, end), (here + len(new), end, None))
        here, done = here + len(new), end
    parts.append(_replace(text[done:], plain))
    return Folded(text="".join(parts), pieces=tuple(pieces))


def _replace(text: str, plain: dict[str, str]) -> str:
    """Replace characters by others, one after the other where there are but a few."""
    if len(plain) > _FEW:
        table: dict[str, str | int | None] = {**plain}
        return text.translate(str.maketrans(table))
    for char, new in plain.items():
        text = text.replace(char, new)
    return text


@lru_cache(maxsize=4096)
def _fold_character(char: str) -> str:
    if char in _PLAIN:
        return _PLAIN[char]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if unicodedata.category(char) == "Cf":
        return ""
    compatible = unicodedata.normalize("NFKC", char)
    bare = _MARKS.sub("", unicodedata.normalize("NFD", compatible))
    new = "".join(_PLAIN.get(one, one) for one in unicodedata.normalize("NFC", bare))
    return new if len(new) <= _LONGEST else char
