"""The states of a machine go in; how it reads a text, never going back, comes out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    CharacterSet = Callable[[str], bool]
    Assertion = Callable[["Kind", "Kind"], bool]

_MOST_REMEMBERED = 2_000


class State(NamedTuple):
    """A place in a machine.

    One that `reads` a set of characters (by number) goes on with them, one that `looks` goes on
    where that holds between two characters, one with neither forks; one that goes nowhere ends.
    """

    following: tuple[int, ...] = ()
    reads: int | None = None
    looks: Assertion | None = None


class Kind(NamedTuple):
    """What a machine sees in a character, or outside the text: its sets, and for assertions."""

    sets: tuple[bool, ...] = ()
    outside: bool = False
    word: bool = False
    ascii_word: bool = False
    newline: bool = False
    final: bool = False


class Reading(NamedTuple):
    """A text as a machine sees it: the number of each character's kind, 0 around the text."""

    numbers: tuple[int, ...]
    kinds: tuple[Kind, ...]


class _Step(NamedTuple):
    reached: frozenset[int]
    ends: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Machine:
    """States, the one to begin in, and the sets of characters that they read."""

    states: tuple[State, ...]
    start: int
    sets: tuple[CharacterSet, ...]

    def see(self, text: str) -> Reading:
        """Reduce a text to what the machine tells apart."""
        kinds = {Kind(outside=True): 0}
        numbers = {
            char: kinds.setdefault(_kind(self, char, final=False), len(kinds)) for char in set(text)
        }
        seen = [numbers[char] for char in text]
        if text.endswith("\n"):
            seen[-1] = kinds.setdefault(_kind(self, "\n", final=True), len(kinds))
        return Reading(numbers=(0, *seen, 0), kinds=tuple(kinds))

    def run(self, reading: Reading, at: int, step: int, *, anywhere: bool = False) -> int | None:
        """Read from a place on, forth (1) or back (-1); give the furthest place where it ends.

        With `anywhere` it may begin at each place, and the first end is given.
        """
        first = here = frozenset((self.start,))
        found = None
        memory: dict[tuple[frozenset[int], int, int], _Step] = {}
        numbers = reading.numbers
        while 0 <= at < len(numbers) - 1:
            key = (here, numbers[at], numbers[at + 1])
            taken = memory.get(key)
            if taken is None:
                if len(memory) == _MOST_REMEMBERED:
                    memory.clear()
                sides = (reading.kinds[key[1]], reading.kinds[key[2]])
                taken = memory[key] = self._step(here, sides, step)
                if anywhere:
                    taken = memory[key] = taken._replace(reached=taken.reached | first)
            found = at if taken.ends else found
            if not taken.reached or (anywhere and taken.ends):
                break
            here = taken.reached
            at += step
        return found

    def _step(self, here: frozenset[int], sides: tuple[Kind, Kind], step: int) -> _Step:
        pending, seen, reached, ends = list(here), set(here), set[int](), False
        sets = sides[step > 0].sets
        while pending:
            state = self.states[pending.pop()]
            ends = ends or not state.following
            if state.reads is not None:
                reached.update(state.following if sets and sets[state.reads] else ())
            elif state.looks is None or state.looks(*sides):
                pending += (one for one in state.following if one not in seen)
                seen.update(state.following)
        return _Step(frozenset(reached), ends)


@lru_cache(maxsize=4096)
def _kind(machine: Machine, char: str, *, final: bool) -> Kind:
    word = char.isalnum() or char == "_"
    return Kind(
        sets=tuple(one(char) for one in machine.sets),
        word=word,
        ascii_word=word and char.isascii(),
        newline=char == "\n",
        final=final,
    )
