"""Cut an answer into sentences of plain words; what it merely contains is left out."""

from __future__ import annotations

import re
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.metrics.plain_words import split_lines
from pytest_experiment_profiler.metrics.refusal_masks import (
    without_fences,
    without_json,
    without_speech,
    without_thinking,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD, TAIL = 4000, 1500  # an answer longer than both is read at its ends only
LONG_CLAUSE = 4

_ITEM = re.compile(
    r"\s{0,12}(?:[-*\u2022+\u2013]|\(?\d{1,2}[.)]|#{1,6}|step \d{1,2}\W)\**\s+(?=\S)",
    re.IGNORECASE,
)
_STEP = "sS"
_COLONS, _QUESTIONS = frozenset(":\uff1a"), frozenset("?\uff1f")
_CONTRAST = re.compile(  # begins with a set of signs, and so is looked for quickly
    r"[,;\u2014\u2013] (?:(?<=; )(?=\w)|(?<=, )(?=so\b)|(?=(?:but|however|though|although|yet|"
    r"aber|jedoch|allerdings|mais|pero|mas|ma|però|maar|ale|men|но|однако|але)\b))"
)
_CONCESSION = re.compile(r"(?:while|although|though) [^,\n]*, ", re.IGNORECASE)
_CONCEDING = frozenset("wWaAtT")


_Clause = tuple[int, int, str, bool]
"""A sentence, or what comes before or after it turns round: its place, its text without a list's
mark, and whether it has one."""


class Sentence(NamedTuple):
    """One sentence: where it stands, its folded words, and its form."""

    start: int
    end: int
    words: list[str]
    item: bool
    opens_list: bool
    asks: bool


class Reading(NamedTuple):
    """An answer's sentences, its length without thinking, and whether it holds code."""

    sentences: tuple[Sentence, ...]
    length: int
    code: bool


def read(text: str) -> Reading:
    """Cut an answer into its sentences."""
    seen = without_json(without_thinking(text))
    code = "```" in seen
    if code:
        seen = without_fences(seen)
    start, stop = len(seen) - len(seen.lstrip()), len(seen.rstrip())
    windows: tuple[tuple[int, int], ...] = ((start, stop),)
    if stop - start > HEAD + TAIL:
        windows = ((start, start + HEAD), (stop - TAIL, stop))
    clauses = [
        clause
        for begin, end in windows
        for clause in _clauses(without_speech(seen[begin:end]), begin)
    ]
    lines = split_lines([text for _, _, text, _ in clauses])
    sentences = [
        _sentence(clause, words) for clause, words in zip(clauses, lines, strict=True) if words
    ]
    return Reading(sentences=tuple(sentences), length=max(0, stop - start), code=code)


@cache
def _sentences(*, is_ascii: bool) -> re.Pattern[str]:
    """Match a sentence; the stops of other scripts take 4 ms to compile."""
    hard = "" if is_ascii else "\u3002\uff01\uff1f\uff61\u0964\u061f\u06d4"
    soft, closing = (".!?", "\"'") if is_ascii else (".!?\u2026", "\"'\u201d\u2019")
    end = rf"(?:[{soft}]+[{closing})\]*_]*(?=\s){hard and f'|[{hard}]+'})"
    return re.compile(
        rf"(?:[ \t]{{0,12}}\(?\d{{1,2}}[.)][ \t]+)?[^\n][^\n{soft}{hard}]*"
        rf"(?:(?!{end})[{soft}{hard}][^\n{soft}{hard}]*)*(?:{end})?"
    )


def _clauses(text: str, offset: int) -> Iterator[_Clause]:
    contrasts = deque(found.span() for found in _CONTRAST.finditer(text))
    for found in _sentences(is_ascii=text.isascii()).finditer(text):
        begin, last = found.span()
        marked = not text[begin].isalpha() or text[begin] in _STEP
        marker = _ITEM.match(text, begin, last) if marked else None
        start = marker.end() if marker else begin
        turns = contrasts or text[start] in _CONCEDING
        for end in (*_turns(text, start, last, contrasts), last) if turns else (last,):
            yield offset + begin, offset + end, text[start:end], marker is not None
            begin = start = end


def _turns(text: str, start: int, last: int, contrasts: deque[tuple[int, int]]) -> Iterator[int]:
    """Find where a sentence turns round, "but" after an apology not counted."""
    if concession := _CONCESSION.match(text, start, last):
        start = concession.end()
        yield start
    while contrasts and contrasts[0][0] < last:
        comma, turn = contrasts.popleft()
        if comma >= start and text.count(" ", start, comma) >= LONG_CLAUSE:
            yield turn
            start = turn


def _sentence(clause: _Clause, words: list[str]) -> Sentence:
    start, end, text, item = clause
    last = text.rstrip(" \t*_")[-1:]
    return Sentence(start, end, words, item, last in _COLONS, last in _QUESTIONS)
