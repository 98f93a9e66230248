"""An answer goes in; where the keys of a wording stand in it comes out."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.likeness import SLIPS
from pytest_experiment_profiler.metrics.numerals import is_number
from pytest_experiment_profiler.metrics.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_experiment_profiler.metrics.exact import Span
    from pytest_experiment_profiler.metrics.likeness import Likeness
    from pytest_experiment_profiler.metrics.wordings import Bag, Row

_MOST_COMPARED = 5_000
_FEW = 5


class Answer:
    """A text and its words and numbers; each index is made when first asked for."""

    def __init__(self, text: str) -> None:
        """Take the text as it came."""
        self.text = text
        self.tokens = Tokens(text)
        self._alike: dict[tuple[str, Likeness | None], list[int]] = {}

    @cached_property
    def _numbers(self) -> tuple[list[int], list[int]]:
        tokens = self.tokens
        numbers = [tokens.span(at) for at, key in enumerate(tokens.keys) if is_number(key)]
        return sorted([start for start, _ in numbers]), sorted([end for _, end in numbers])

    def find_written(self, text: str) -> Span | None:
        """Find a wording as it is written, between the bounds of words and numbers."""
        written = self.tokens.lowered
        if not text or text not in written:
            return None
        end = len(written.rstrip())
        last = end - len(text)
        if written.startswith(text, last) and not written[last - 1 : last].strip():
            return last, end
        for found in re.finditer(_bounded(text), written):
            start, end = found.span()
            if not (self._is_in_number(start) or self._is_in_number(end)):
                return start, end
        return None

    def _is_in_number(self, place: int) -> bool:
        """Tell whether a place is within a number, as in "five | million"."""
        starts, ends = self._numbers
        before = bisect_left(starts, place) - 1
        return before >= 0 and place < ends[before]

    def find_row(self, row: Row) -> Span | None:
        """Find keys next to each other."""
        start = self.tokens.stream.find(row.keys)
        return None if start < 0 else self._cover_row(start, row.keys)

    def find_joined(self, row: Row) -> Span | None:
        """Find keys next to each other, wherever the gaps between them are."""
        if row.letters not in self.tokens.letters:
            return None
        pattern = f" {' ?'.join(map(re.escape, row.letters))} "
        found = re.search(pattern, self.tokens.stream)
        return self._cover_row(found.start(), found[0]) if found else None

    def _cover_row(self, start: int, keys: str) -> Span:
        first = self.tokens.stream.count(" ", 0, start)
        return self.cover(range(first, first + keys.count(" ") - 1))

    def find_near(self, bag: Bag) -> Span | None:
        """Find keys near each other, in any order, slips of the pen allowed."""
        stream = self.tokens.stream
        for key in bag.sure:
            if key not in stream:
                return None
        found: list[list[int]] = []
        for key in bag.keys:
            places = self.places_like(key, SLIPS)
            if not places:
                return None
            found.append(places)
        marks = sorted((place, which) for which, places in enumerate(found) for place in places)
        counts = [0] * len(found)
        missing, left = len(found), 0
        for place, which in marks:
            missing -= not counts[which]
            counts[which] += 1
            while place - marks[left][0] >= bag.width or counts[marks[left][1]] > 1:
                counts[marks[left][1]] -= 1
                missing += not counts[marks[left][1]]
                left += 1
            if not missing:
                return self.cover((marks[left][0], place))
        return None

    def places_like(self, key: str, likeness: Likeness | None) -> list[int]:
        """Find the places of a key, and of the words that are like it."""
        if likeness is None or len(key) < likeness.shortest or is_number(key):
            return self._find_all((key,)) if f" {key} " in self.tokens.stream else []
        start = key[: likeness.start]
        if f" {start}" not in self.tokens.stream:
            return []
        places = self._alike.get((key, likeness))
        if places is None:
            begin = self._find_beginning(start)
            words = [one for one in begin if one != key and likeness.holds(key, one)]
            places = self._alike[key, likeness] = self._find_all([key, *words])
        return places

    def _find_beginning(self, start: str) -> list[str]:
        """Find the words that begin so, each once."""
        stream, mark = self.tokens.stream, f" {start}"
        words: dict[str, None] = {}
        at = stream.find(mark)
        for _ in range(_MOST_COMPARED):
            if at < 0:
                break
            end = stream.find(" ", at + 1)
            words[stream[at + 1 : end]] = None
            at = stream.find(mark, end)
        return list(words)

    def _find_all(self, words: Sequence[str]) -> list[int]:
        keys, stream = self.tokens.keys, self.tokens.stream
        if len(words) > _FEW:
            among = frozenset(words)
            return [place for place, key in enumerate(keys) if key in among]
        places: list[int] = []
        for word in words:
            place = done = 0
            start = stream.find(f" {word} ")
            while start >= 0:
                place += stream.count(" ", done, start)
                places.append(place)
                done, start = start, stream.find(f" {word} ", start + 1)
        return sorted(places)

    def cover(self, places: Sequence[int]) -> Span:
        """Give the place in the folded text from the first to the last of some tokens."""
        spans = [self.tokens.span(place) for place in places]
        return min(spans)[0], max([end for _, end in spans])


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
