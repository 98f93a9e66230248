"""Lines of a text go in; their words come out, folded and with contractions written out."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNS = (  # of Indic scripts and Thai: vowels and tones that hang on letters
    "\u0900-\u0963\u0966-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd"
)
_CONTRACTION = re.compile(
    r"(?<![a-z])[a-z]++'[a-z]+"
    r"|\b(?:can not|cant|im|wont|gonna|gotta|(?:do|does|is|would|could|should)nt)\b"
)
_SLOPPY = ("cant", "dont", "wont", "snt", "dnt", "gonna", "gotta", "can not")
_ENTITY = re.compile("&(?:#0?39|#x27|#8217|#x2019|[lr]squo|apos);")
_IM = re.compile(r"im(?<!\wim)\b")  # begins with letters, and so is looked for quickly
_PARTING = "".join(set(map(chr, range(128))).difference(ascii_letters, digits, "'\n"))
_PARTED = bytes.maketrans(
    f"{ascii_uppercase}{_PARTING}".encode(), f"{ascii_lowercase}{' ' * len(_PARTING)}".encode()
)
_SHORT = {
    "can't": "cannot",
    "won't": "will not",
    "shan't": "shall not",
    "let's": "let us",
    "can not": "cannot",
    "cant": "cannot",
    "wont": "will not",
    "im": "i am",
    "gonna": "going to",
    "gotta": "have to",
    "i'd": "i would",
    "we'd": "we would",
    "it's": "it is",
    "that's": "that is",
    "there's": "there is",
    "here's": "here is",
    "what's": "what is",
}
_ENDINGS = {"nt": " not", "n't": " not", "'m": " am", "'re": " are", "'ll": " will", "'ve": " have"}
_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e*"
_FOLDS = dict.fromkeys("\u2018\u2019\u02bc\u02b9\uff07\u00b4\u201b\u2032`", "'")
_FOLDS |= dict.fromkeys(_UNSEEN, "")
_MARKS = re.compile("[\u0300-\u036f]")
_STROKES = str.maketrans("ıđłø", "idlo")
_FOLDED = re.compile(f"[{re.escape(''.join(_FOLDS))}]")


def plain(text: str) -> list[str]:
    """Fold a text to lower-case words, contractions written out."""
    return [word for words in split_lines(text.split("\n")) for word in words]


def split_lines(lines: Sequence[str]) -> list[list[str]]:
    """Fold texts of one line each to lower-case words, contractions written out."""
    text = "\n".join(lines)
    if "&" in text:
        text = _ENTITY.sub("'", text)
    if text.isascii():
        text = text.replace("`", "'").replace("*", "").lower()
    else:
        text = _FOLDED.sub(lambda found: _FOLDS[found[0]], unicodedata.normalize("NFKC", text))
        text = text.casefold()
        if not text.isascii():
            bare = _MARKS.sub("", unicodedata.normalize("NFKD", text)).translate(_STROKES)
            text = unicodedata.normalize("NFC", bare)
    if any(map(text.__contains__, _SLOPPY)) or _IM.search(text):
        text = _CONTRACTION.sub(_expanded, text)
    split = _split if text.isascii() else _split_mixed
    return split(text) if lines else []


def _split(text: str) -> list[list[str]]:
    parted = text.encode("ascii").translate(_PARTED).decode("ascii")
    lines = [line.split() for line in parted.split("\n")]
    if "'" not in parted:
        return lines
    return [
        [part for word in line for part in (_parts(word) if "'" in word else (word,))]
        for line in lines
    ]


def _split_mixed(text: str) -> list[list[str]]:
    lines = text.split("\n")
    word = _word(is_ascii=False)
    return [
        _split(line)[0] if line.isascii() else word.findall(_CONTRACTION.sub(_expanded, line))
        for line in lines
    ]


@cache
def _word(*, is_ascii: bool) -> re.Pattern[str]:
    """Match a word; the signs of Indic scripts take 2 ms to compile."""
    signs = "" if is_ascii else rf"(?:[{_SIGNS}]+[^\W_]*)*"
    return re.compile(rf"[^\W_]+{signs}(?:'[^\W_]+)*")


@lru_cache(maxsize=4096)
def _parts(word: str) -> tuple[str, ...]:
    return tuple(_word(is_ascii=True).findall(_CONTRACTION.sub(_expanded, word)))


def _expanded(found: re.Match[str]) -> str:
    word = found[0]
    if word in _SHORT:
        return _SHORT[word]
    for ending, whole in _ENDINGS.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + whole
    return word
