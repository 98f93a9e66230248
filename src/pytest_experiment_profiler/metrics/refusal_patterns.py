"""The words of a sentence go in; the frames whose patterns stand in it come out.

All patterns are read at once, word by word. A state is what may go on; patterns are laid out when
their first word is first seen, for there are many, and an answer needs few.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.refusal_lists import (
    list_openings,
    list_phrases,
    list_starts,
    list_unspaced,
    openings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_experiment_profiler.metrics.refusal_lists import Pattern, Phrase

    Places = tuple["Place", ...]
    Unless = tuple[str, frozenset[Phrase]]

_GAP, _LETTERS = 3, 12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Place:
    """A place in a pattern: where each next word leads, and the frame it has found."""

    following: Mapping[str, Places]
    otherwise: Places = ()
    frame: str | None = None
    last: bool = False
    unless: frozenset[Phrase] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class State:
    """All places reached: those that go on, with the words that lead on, and the frames found.

    Other words lead to `otherwise`. It `tells` of frames at once, or unless phrases follow. One
    that is `lasting` needs no word of its own to come next.
    """

    places: Places
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
    return _join(
        frozenset(
            after for place in state.places for after in place.following.get(word, place.otherwise)
        )
    )


@cache
def _join(places: frozenset[Place]) -> State:
    framed = [(place.frame, place) for place in places if place.frame]
    otherwise = frozenset(after for place in places for after in place.otherwise)
    return State(
        places=tuple(place for place in places if place.following or place.otherwise),
        words=frozenset(word for place in places for word in place.following),
        otherwise=_join(otherwise) if otherwise else None,
        tells=any(not place.last for _, place in framed),
        lasting=bool(framed or otherwise),
        frames=frozenset(name for name, place in framed if not (place.last or place.unless)),
        frames_at_end=frozenset(name for name, place in framed if place.last),
        frames_unless=tuple((name, place.unless) for name, place in framed if place.unless),
    )


@cache
def _start() -> State:
    """Make the state before the first word of a sentence."""
    laid = (_lay(*one[:2], one.signs[1:]) for one in list_starts())
    return _join(frozenset(place for places in laid for place in places))


@cache
def _opening(word: str) -> State:
    """Make the state after a word that opens patterns."""
    places = (place for one in list_openings(word) for place in _lay(*one))
    return _join(frozenset(after for place in places for after in place.following.get(word, ())))


@cache
def _lay(language: str, frame: str, signs: tuple[str, ...]) -> Places:
    """Lay a pattern out from its end, and give the places where it begins."""
    if not signs or signs[0] == "$":
        return (Place(following={}, frame=frame, last=bool(signs)),)
    sign = signs[0]
    if sign.startswith("!"):
        avoided = frozenset(list_phrases(language, sign))
        return (Place(following={}, frame=frame, unless=avoided),)
    then = _lay(language, frame, signs[1:])
    if sign == "..":
        places = then
        for _ in range(_GAP):
            places = (Place(following={}, otherwise=places), *then)
        return places
    place = _branch(list_phrases(language, sign), then)
    return (place, *then) if sign.endswith("?") else (place,)


def _branch(phrases: Iterable[Phrase], then: Places) -> Place:
    following: dict[str, Places] = {}
    longer: defaultdict[str, list[Phrase]] = defaultdict(list)
    for word, *rest in phrases:
        if rest:
            longer[word].append(tuple(rest))
        else:
            following[word] = then
    for word, rests in longer.items():
        following[word] = (*following.get(word, ()), _branch(rests, then))
    return Place(following=following)


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
