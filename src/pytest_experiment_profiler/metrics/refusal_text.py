"""Cut an answer into sentences of plain words; what it merely contains is left out."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.metrics.refusal_masks import (
    without_fences,
    without_speech,
    without_thinking,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD, TAIL = 4000, 1500  # an answer longer than both is read at its ends only
LONG_CLAUSE = 4

_STOPS = ".!?\u2026\u3002\uff01\uff1f\uff61\u0964\u061f\u06d4"
_END = (
    r"(?:[.!?\u2026]+[\"'\u201d\u2019)\]*_]*(?=\s)"
    r"|[\u3002\uff01\uff1f\uff61\u0964\u061f\u06d4]+)"
)
_SENTENCE = re.compile(
    rf"(?:[ \t]{{0,12}}\(?\d{{1,2}}[.)][ \t]+)?[^\n][^\n{_STOPS}]*"
    rf"(?:(?!{_END})[{_STOPS}][^\n{_STOPS}]*)*(?:{_END})?"
)
_ITEM = re.compile(
    r"\s{0,12}(?:[-*\u2022+\u2013]|\(?\d{1,2}[.)]|#{1,6}|step \d{1,2}\W)\**\s+(?=\S)",
    re.IGNORECASE,
)
_CONTRAST = re.compile(
    r"[,;\u2014\u2013] (?=(?:but|however|though|although|yet|aber|jedoch|allerdings|mais|pero|mas|"
    r"ma|però|maar|ale|men|но|однако|але)\b)"
)
_CONCESSION = re.compile(r"(?:while|although|though) [^,\n]*, ", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_CONTRACTION = re.compile(r"(?<![a-z])[a-z]++'[a-z]+|\b(?:can not|cant|dont|im)\b")
_CONTRACTED = ("'", "can not", "cant", "dont", "im")
_SHORT = {
    "can't": "cannot",
    "won't": "will not",
    "shan't": "shall not",
    "let's": "let us",
    "can not": "cannot",
    "cant": "cannot",
    "dont": "do not",
    "im": "i am",
    "i'd": "i would",
    "we'd": "we would",
    "it's": "it is",
    "that's": "that is",
    "there's": "there is",
    "here's": "here is",
    "what's": "what is",
}
_ENDINGS = {"n't": " not", "'m": " am", "'re": " are", "'ll": " will", "'ve": " have"}
_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e*"
_FOLD = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\u02b9\uff07\u00b4\u201b\u2032`", "'")
    | dict.fromkeys(_UNSEEN, "")
)


class Sentence(NamedTuple):
    """One sentence: where it stands, its folded words, and its form."""

    start: int
    end: int
    words: list[str]
    item: bool
    opens_list: bool
    asks: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """An answer's sentences, its length without thinking, and whether it holds code."""

    sentences: tuple[Sentence, ...]
    length: int
    code: bool


def read(text: str) -> Reading:
    """Cut an answer into its sentences."""
    seen = without_thinking(text)
    code = "```" in seen
    if code:
        seen = without_fences(seen)
    start, stop = len(seen) - len(seen.lstrip()), len(seen.rstrip())
    windows: tuple[tuple[int, int], ...] = ((start, stop),)
    if stop - start > HEAD + TAIL:
        windows = ((start, start + HEAD), (stop - TAIL, stop))
    sentences = [
        sentence
        for begin, end in windows
        for sentence in _sentences(without_speech(seen[begin:end]), begin)
    ]
    return Reading(sentences=tuple(sentences), length=max(0, stop - start), code=code)


def plain(text: str) -> list[str]:
    """Fold a text to lower-case words, contractions written out."""
    if text.isascii():
        text = text.replace("`", "'").replace("*", "").lower()
    else:
        text = unicodedata.normalize("NFKC", text).translate(_FOLD).casefold()
    if any(sign in text for sign in _CONTRACTED):
        text = _CONTRACTION.sub(_expanded, text)
    return _WORD.findall(text)


def _expanded(found: re.Match[str]) -> str:
    word = found[0]
    if word in _SHORT:
        return _SHORT[word]
    for ending, whole in _ENDINGS.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + whole
    return word


def _sentences(text: str, offset: int) -> Iterator[Sentence]:
    for found in _SENTENCE.finditer(text):
        marker = _ITEM.match(text, found.start(), found.end())
        begin = found.start()
        start = marker.end() if marker else begin
        for end in (*_turns(text, start, found.end()), found.end()):
            words = plain(text[start:end])
            if words:
                tail = text[start:end].rstrip(" \t*_")
                yield Sentence(
                    start=offset + begin,
                    end=offset + end,
                    words=words,
                    item=marker is not None,
                    opens_list=tail.endswith((":", "\uff1a")),
                    asks=tail.endswith(("?", "\uff1f")),
                )
            begin = start = end


def _turns(text: str, start: int, end: int) -> Iterator[int]:
    """Find where a sentence turns round, "but" after an apology not counted."""
    if concession := _CONCESSION.match(text, start, end):
        start = concession.end()
        yield start
    for turn in _CONTRAST.finditer(text, start, end):
        if text.count(" ", start, turn.start()) >= LONG_CLAUSE:
            yield turn.end()
            start = turn.end()
