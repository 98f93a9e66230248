"""Facts and an answer go in; where each fact stands in the answer comes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.answers import Answer
from pytest_experiment_profiler.metrics.exact import Span, find_exact, match_exactly, match_form
from pytest_experiment_profiler.metrics.likeness import INFLECTIONS, is_short_form
from pytest_experiment_profiler.metrics.numerals import is_number
from pytest_experiment_profiler.metrics.patterns import check_pattern
from pytest_experiment_profiler.metrics.vocabulary import LIGHT, MONTH_NAMES, OPPOSITES, TITLES
from pytest_experiment_profiler.metrics.wordings import Word, Wording, read_wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_experiment_profiler.experiment import Fact, FactMatch, FactMode

__all__ = ["check_pattern", "match", "match_all"]

Way = Callable[[Wording, Answer], "Span | None"]

_SHARE, _SHARE_OF_MANY = 1 / 3, 0.7
_MANY = 4
_INITIALS = len("JK")


def match(fact: Fact, text: str, mode: FactMode = "lenient") -> FactMatch:
    """Look for one fact in an answer."""
    return match_all((fact,), text, mode)[0]


def match_all(
    facts: Iterable[Fact], text: str, mode: FactMode = "lenient"
) -> tuple[FactMatch, ...]:
    """Look for several facts in one answer, which is read once."""
    if mode == "exact":
        return match_exactly(facts, text)
    answer = Answer(text)

    def find(wordings: Sequence[str], _text: str) -> Span | None:
        # Who lists many wordings has listed the parts that will do.
        ways = _FEW_WORDINGS if len(wordings) <= _MANY else _MANY_WORDINGS
        return _find(wordings, answer, ways)

    def find_whole(wordings: Sequence[str], _text: str) -> Span | None:
        return _find(wordings, answer, _WHOLE)

    if mode == "strict":
        find = find_whole
    return tuple([match_form(fact, text, find, find_whole) for fact in facts])


def _find(wordings: Sequence[str], answer: Answer, ways: Sequence[Way]) -> Span | None:
    """Find one of some wordings, by the surest way there is."""
    read = [read_wording(wording) for wording in wordings]
    for way in ways:
        for wording in read:
            span = way(wording, answer)
            if span:
                return answer.tokens.folded.origin(*span)
    invisible = [wordings[number] for number, one in enumerate(read) if not (one.rows or one.text)]
    return find_exact(invisible, answer.text) if invisible else None


def _find_said(wording: Wording, answer: Answer) -> Span | None:
    """Find the words of a wording in a row."""
    for row in wording.rows:
        if span := answer.find_row(row):
            return span
    for row in wording.rows:
        if span := answer.find_joined(row):
            return span
    return answer.find_written(wording.text)


def _find_near(wording: Wording, answer: Answer) -> Span | None:
    """Find the words of weight of a wording near each other."""
    for bag in wording.bags:
        if span := answer.find_near(bag):
            return span
    return None


def _find_year(wording: Wording, answer: Answer) -> Span | None:
    """Find the year of a date where the answer gives it alone, or with the right month only."""
    if not wording.date:
        return None
    said = ("", "", *answer.tokens.keys)
    for place in answer.places_like(wording.date.year, None):
        earlier, before = said[place : place + 2]
        if before not in MONTH_NAMES or (before == wording.date.month and not is_number(earlier)):
            return answer.cover((place,))
    return None


def _find_part(wording: Wording, answer: Answer, share: float) -> Span | None:
    """Find a fair part of a wording: so many of its words, and all of its numbers."""
    found: list[tuple[Word, Sequence[int]]] = []
    stream = answer.tokens.stream
    for word in wording.words:
        places = _places(word, answer) if word.sign in stream else ()
        if not places and (word.fixed or f" {OPPOSITES.get(word.key)} " in stream):
            return None
        found.append((word, places))
    hits = [hit for hit in found if hit[1]]
    if len(hits) < share * len(found) or False not in [word.bare for word, _ in hits]:
        return None
    if len(hits) < len(found) and _names_another(found, answer):
        return None
    longest = max(hits, key=_length)
    return answer.cover(longest[1][:1])


def _length(hit: tuple[Word, Sequence[int]]) -> int:
    return len(hit[0].key)


def _places(word: Word, answer: Answer) -> list[int]:
    """Find a word, or another form of it; a name only where it is written as one."""
    if not word.name:
        return answer.places_like(word.key, INFLECTIONS)
    places = answer.places_like(word.key, None)
    text, span = answer.tokens.folded.text, answer.tokens.span
    return places if text.islower() else [at for at in places if not text[span(at)[0]].islower()]


def _names_another(found: Sequence[tuple[Word, Sequence[int]]], answer: Answer) -> bool:
    """Tell whether a name stands with a wrong other part: "Michelle Obama" for "Barack Obama"."""
    missed = {at for at, (word, places) in enumerate(found) if word.name and not places}
    if not missed:
        return False
    known = {word.key for word, _ in found}
    for at, (word, places) in enumerate(found):
        sides = [side for side in (-1, 1) if at + side in missed]
        strange = (any(_is_strange(answer, one, side, known) for side in sides) for one in places)
        if word.name and places and all(strange):
            return True
    return False


def _is_strange(answer: Answer, place: int, side: int, known: set[str]) -> bool:
    """Tell whether the next token on a side is a name beside this one, and not the fact's."""
    tokens, text = answer.tokens, answer.tokens.folded.text
    beside = place + side
    if side > 0 and tokens.keys[beside : beside + 1] == ["of"]:
        beside += 1
    first, last = sorted((place, beside))
    if first < 0 or last >= len(tokens.keys):
        return False
    other = tokens.keys[beside]
    gap = text[tokens.span(first)[1] : tokens.span(last)[0]].replace(" of", "").replace(" the", "")
    if gap.strip(" ." if len(tokens.keys[first]) == 1 else " "):
        return False
    if not text[tokens.span(beside)[0]].isupper() or other in LIGHT or other in TITLES:
        return False
    return not any(
        is_short_form(other, key) or (len(key) == _INITIALS and key[0] == other[0]) for key in known
    )


_WHOLE: Sequence[Way] = (_find_said, _find_near)
_FEW_WORDINGS: Sequence[Way] = (*_WHOLE, _find_year, partial(_find_part, share=_SHARE))
_MANY_WORDINGS: Sequence[Way] = (*_FEW_WORDINGS[:-1], partial(_find_part, share=_SHARE_OF_MANY))
