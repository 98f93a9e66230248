"""An answer goes in; where the keys of a wording stand in it comes out."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.likeness import is_slip
from pytest_experiment_profiler.metrics.numerals import is_number
from pytest_experiment_profiler.metrics.tokens import Tokens, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Likeness = Callable[[str, str], bool]

Span = tuple[int, int]

_MOST_COMPARED = 5_000


class Answer:
    """A text prepared for many look-ups; each index is made when first asked for."""

    def __init__(self, text: str) -> None:
        """Take the text as it came."""
        self.text = text
        self._alike: dict[tuple[str, Likeness], list[int]] = {}

    @cached_property
    def tokens(self) -> Tokens:
        """The words and numbers."""
        return tokenize(self.text)

    @cached_property
    def _lowered(self) -> str:
        return self.tokens.folded.text.casefold()

    @cached_property
    def _stream(self) -> str:
        return f" {' '.join(self.tokens.keys)} "

    @cached_property
    def _compact(self) -> str:
        return "".join(self.tokens.keys)

    @cached_property
    def _numbers(self) -> tuple[list[int], list[int]]:
        tokens = self.tokens
        numbers = [place for place, key in enumerate(tokens.keys) if is_number(key)]
        starts = sorted(tokens.starts[place] for place in numbers)
        return starts, sorted(tokens.ends[place] for place in numbers)

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        for place, key in enumerate(self.tokens.keys):
            places.setdefault(key, []).append(place)
        return places

    @cached_property
    def _by_letter(self) -> dict[str, list[str]]:
        words: dict[str, list[str]] = {}
        for key in list(self._places)[:_MOST_COMPARED]:
            words.setdefault(key[0], []).append(key)
        return words

    def find_written(self, text: str) -> Span | None:
        """Find a wording as it is written, between the bounds of words and numbers."""
        if not text or text not in self._lowered:
            return None
        end = len(self._lowered.rstrip())
        last = end - len(text)
        if self._lowered.startswith(text, last) and not self._lowered[last - 1 : last].strip():
            return last, end
        for found in re.finditer(_bounded(text), self._lowered):
            start, end = found.span()
            if not (self._is_in_number(start) or self._is_in_number(end)):
                return start, end
        return None

    def _is_in_number(self, place: int) -> bool:
        """Tell whether a place is within a number, as in "five | million"."""
        starts, ends = self._numbers
        before = bisect_left(starts, place) - 1
        return before >= 0 and place < ends[before]

    def find_row(self, keys: Sequence[str]) -> Span | None:
        """Find keys next to each other."""
        start = self._stream.find(f" {' '.join(keys)} ")
        if start < 0:
            return None
        first = self._stream.count(" ", 0, start)
        return self.cover(range(first, first + len(keys)))

    def find_joined(self, keys: Sequence[str]) -> Span | None:
        """Find keys next to each other, wherever the gaps between them are."""
        letters = "".join(keys)
        if letters not in self._compact:
            return None
        found = re.search(f" {' ?'.join(map(re.escape, letters))} ", self._stream)
        if not found:
            return None
        first = self._stream.count(" ", 0, found.start())
        return self.cover(range(first, first + found[0].count(" ") - 1))

    def find_near(self, keys: Sequence[str], width: int) -> Span | None:
        """Find all keys within so many tokens, in any order, slips of the pen allowed."""
        found = [self.places_like(key, is_slip) for key in keys]
        if not all(found):
            return None
        marks = sorted((place, which) for which, places in enumerate(found) for place in places)
        counts = [0] * len(keys)
        missing, left = len(keys), 0
        for place, which in marks:
            missing -= not counts[which]
            counts[which] += 1
            while place - marks[left][0] >= width or counts[marks[left][1]] > 1:
                counts[marks[left][1]] -= 1
                missing += not counts[marks[left][1]]
                left += 1
            if not missing:
                return self.cover((marks[left][0], place))
        return None

    def places_like(self, key: str, is_like: Likeness) -> list[int]:
        """Find the places of a key, and of the words that are like it."""
        if is_number(key):
            return self._places.get(key, [])
        places = self._alike.get((key, is_like))
        if places is None:
            others = (word for word in self._by_letter.get(key[0], ()) if is_like(key, word))
            words = dict.fromkeys((key, *others))
            places = sorted(place for word in words for place in self._places.get(word, ()))
            self._alike[key, is_like] = places
        return places

    def cover(self, places: Iterable[int]) -> Span:
        """Give the place in the folded text from the first to the last of some tokens."""
        starts, ends = self.tokens.starts, self.tokens.ends
        places = list(places)
        return min(starts[place] for place in places), max(ends[place] for place in places)


def _bounded(text: str) -> str:
    """Write a pattern of a text that isn't part of a longer word or number."""
    pattern = re.escape(text)
    if text[0].isalnum():
        pattern = rf"(?<!\w){pattern}"
    if text[0].isdigit():
        pattern = rf"(?<!\d[.,'])(?<!^-)(?<![\s(]-){pattern}"
    if text[-1].isalnum():
        pattern = rf"{pattern}(?!\w)" if len(text) > 1 else rf"{pattern}(?![\w+#])"
    return rf"{pattern}(?![.,']\d)" if text[-1].isdigit() else pattern
