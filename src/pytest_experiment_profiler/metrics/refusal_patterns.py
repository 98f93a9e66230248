"""The words of a sentence go in; the frames whose patterns stand in it come out.

All patterns are read at once, word by word. A state is what may go on; where patterns lead is
looked up when a word first leads there, for there are many, and an answer needs few.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.refusal_lists import (
    list_openings,
    list_phrases,
    list_starts,
    list_unspaced,
    openings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_experiment_profiler.metrics.refusal_lists import Pattern, Phrase

    Place = Pattern  # of which those signs are left that are yet to come
    Unless = tuple[str, frozenset[Phrase]]

_FEWER = {"..": ("..2",), "..2": ("..1",), "..1": ()}
_LETTERS = 12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class State:
    """All places reached: those that go on, with the words that lead on, and the frames found.

    Other words lead to `otherwise`. It `tells` of frames at once, or unless phrases follow. One
    that is `lasting` needs no word of its own to come next.
    """

    places: tuple[Place, ...]
    words: frozenset[str]
    otherwise: State | None
    tells: bool
    lasting: bool
    frames: frozenset[str]
    frames_at_end: frozenset[str]
    frames_unless: tuple[Unless, ...]


def find_frames(words: Sequence[str]) -> set[str]:
    """Name the frames that a sentence holds."""
    found: set[str] = set()
    opening, count = openings(), len(words)
    _follow(_start(), words, 0, found)
    for place, word in enumerate(words, start=1):
        if word in opening:
            state = _opening(word)
            if state.lasting or (place < count and words[place] in state.words):
                _follow(state, words, place, found)
    return found | _find_unspaced(words)


def _follow(state: State, words: Sequence[str], place: int, found: set[str]) -> None:
    """Collect the frames that a state leads to from a place on."""
    count = len(words)
    while True:
        if state.tells:
            found |= state.frames
            for frame, avoided in state.frames_unless:
                if not any(tuple(words[place : place + len(one)]) == one for one in avoided):
                    found.add(frame)
        if place == count:
            found |= state.frames_at_end
            return
        word = words[place]
        if word in state.words:
            state = _advance(state, word)
        elif state.otherwise:
            state = state.otherwise
        else:
            return
        place += 1


@cache
def _advance(state: State, word: str) -> State:
    return _join(frozenset(after for place in state.places for after in _follow_up(place, word)))


@cache
def _join(places: frozenset[Place]) -> State:
    ended = [place for place in places if not place.signs]
    last = [place for place in places if place.signs == ("$",)]
    unless = [place for place in places if place.signs and place.signs[0].startswith("!")]
    going = places.difference(ended, last, unless)
    gaps = [place for place in going if place.signs[0] in _FEWER]
    words = [_list_firsts(place.language, place.signs[0]) for place in going.difference(gaps)]
    otherwise = frozenset(chain.from_iterable(map(_skip, gaps)))
    return State(
        places=tuple(going),
        words=frozenset().union(*words),
        otherwise=_join(otherwise) if otherwise else None,
        tells=bool(ended or unless),
        lasting=bool(ended or last or unless or gaps),
        frames=frozenset(place.frame for place in ended),
        frames_at_end=frozenset(place.frame for place in last),
        frames_unless=tuple(
            (place.frame, frozenset(list_phrases(place.language, place.signs[0])))
            for place in unless
        ),
    )


@cache
def _start() -> State:
    """Make the state before the first word of a sentence."""
    starts = (pattern._replace(signs=pattern.signs[1:]) for pattern in list_starts())
    return _join(frozenset(chain.from_iterable(map(_expand, starts))))


@cache
def _opening(word: str) -> State:
    """Make the state after a word that opens patterns."""
    places = chain.from_iterable(map(_expand, list_openings(word)))
    return _join(frozenset(after for place in places for after in _follow_up(place, word)))


def _follow_up(place: Place, word: str) -> Iterator[Place]:
    """Give the places where a word leads from one."""
    sign, *signs = place.signs
    if sign in _FEWER:
        yield from _skip(place)
        return
    for rest in _list_firsts(place.language, sign).get(word, ()):
        yield from _expand(place._replace(signs=("_".join(rest), *signs) if rest else tuple(signs)))


def _skip(place: Place) -> Iterator[Place]:
    """Give the places where any word leads from a gap."""
    sign, *signs = place.signs
    return _expand(place._replace(signs=(*_FEWER[sign], *signs)))


def _expand(place: Place) -> Iterator[Place]:
    """Give a place and, as far as its signs may be left out, those behind."""
    yield place
    if place.signs and (place.signs[0].endswith("?") or place.signs[0] in _FEWER):
        yield from _expand(place._replace(signs=place.signs[1:]))


@cache
def _list_firsts(language: str, sign: str) -> Mapping[str, Sequence[Phrase]]:
    """Map the first words of a sign's phrases to what follows each."""
    firsts: defaultdict[str, list[Phrase]] = defaultdict(list)
    for phrase in list_phrases(language, sign):
        firsts[phrase[0]].append(phrase[1:])
    return dict(firsts)


def _find_unspaced(words: Sequence[str]) -> set[str]:
    """Name the frames in a sentence of a language that doesn't part words."""
    text = " ".join(words)
    if text.isascii() or not _spaceless().search(text):
        return set()
    text = f" {text} "
    return {frame for frame, pattern in _unspaced() if pattern.search(text)}


@cache
def _spaceless() -> re.Pattern[str]:
    return re.compile("[\u0e00-\u0eff\u1100-\u11ff\u3005-\u9fff\uac00-\ud7a3\uf900-\ufaff]")


@cache
def _unspaced() -> tuple[tuple[str, re.Pattern[str]], ...]:
    frames: defaultdict[str, list[str]] = defaultdict(list)
    for pattern in list_unspaced():
        frames[pattern.frame].append("".join(_regex(pattern, sign) for sign in pattern.signs))
    return tuple((frame, re.compile("|".join(each))) for frame, each in frames.items())


def _regex(pattern: Pattern, sign: str) -> str:
    fixed = {"..": f".{{0,{_LETTERS}}}?", "^": r"\A ?", "$": r" ?\Z"}
    if sign in fixed:
        return fixed[sign]
    phrases = list_phrases(pattern.language, sign)
    choices = "|".join(re.escape(" ".join(phrase)) for phrase in phrases)
    return f"(?:{choices}){'?' if sign.endswith('?') else ''}"
