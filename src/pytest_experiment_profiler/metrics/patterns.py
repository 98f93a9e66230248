"""A regular expression and a text go in; where it matches comes out, in linear time."""

from __future__ import annotations

import importlib
import re
import warnings
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.metrics.automaton import Machine, State
from pytest_experiment_profiler.metrics.backtracking import count_ways

if TYPE_CHECKING:
    from pytest_experiment_profiler.metrics.automaton import Assertion, CharacterSet
    from pytest_experiment_profiler.metrics.backtracking import Ways

_LONGEST = 1_000
_MOST_STATES = 300
_MOST_STEPS = 2_000_000
_SHOWN = 60
_TOO_LARGE = f"unfolds to more than {_MOST_STATES} places: its repeats multiply"
_UNREADABLE = {
    "ASSERT": "looks around, which can't be read; write all_of",
    "ASSERT_NOT": "looks around, which can't be read; write none_of",
    "GROUPREF": "refers to a group, which can't be read",
    "GROUPREF_EXISTS": "depends on a group, which can't be read",
    "ATOMIC_GROUP": "has an atomic group, which can't be read",
    "POSSESSIVE_REPEAT": "has a possessive repeat, which can't be read",
}
_ASSERTIONS: dict[str, Assertion] = {
    "AT_BEGINNING_STRING": lambda before, _: before.outside,
    "AT_BEGINNING": lambda before, _: before.outside,
    "AT_BEGINNING_LINE": lambda before, _: before.outside or before.newline,
    "AT_END_STRING": lambda _, after: after.outside,
    "AT_END": lambda _, after: after.outside or after.final,
    "AT_END_LINE": lambda _, after: after.outside or after.newline,
    "AT_BOUNDARY": lambda before, after: before.word != after.word,
    "AT_BOUNDARY_ASCII": lambda before, after: before.ascii_word != after.ascii_word,
    "AT_NON_BOUNDARY": lambda before, after: before.word == after.word,
    "AT_NON_BOUNDARY_ASCII": lambda before, after: before.ascii_word == after.ascii_word,
}
_CATEGORIES: dict[str, CharacterSet] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda char: char.isalnum() or char == "_",
}


class UnreadableError(ValueError):
    """A regular expression that can't be read; the message says why."""


def check_pattern(pattern: str) -> str | None:
    """Say what is wrong with a regular expression, or None."""
    shown = repr(pattern if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]}…")
    try:
        _machines(pattern)
    except UnreadableError as error:
        return f"the regex {shown} {error}"
    empty = search(pattern, "") is not None
    return f"the regex {shown} matches an empty text, and so every answer" if empty else None


def search(pattern: str, text: str) -> tuple[int, int] | None:
    """Find where a regular expression matches; one that can't be read doesn't."""
    try:
        (ways, repeats), compiled = _compile(pattern)
        if ways * len(text) ** (1 + repeats) > _MOST_STEPS:
            return search_onward(pattern, text)
    except UnreadableError:
        return None
    found = compiled.search(text)
    return found.span() if found else None


def search_onward(pattern: str, text: str) -> tuple[int, int] | None:
    """Find where a regular expression matches, however often `re` would have to go back.

    Three readings, for the machine can't go back: to the first end, from there to the furthest
    start, from there to the furthest end.
    """
    forward, backward = _machines(pattern)
    reading = forward.see(text)
    end = forward.run(reading, 0, 1, anywhere=True)
    if end is None:
        return None
    start = backward.run(backward.see(text), end, -1)
    last = forward.run(reading, start, 1) if start is not None else None
    return (start, last) if start is not None and last is not None else None


@lru_cache(maxsize=256)
def _machines(pattern: str) -> tuple[Machine, Machine]:
    """Make the machine of a regular expression, and the one that reads it from its end."""
    if len(pattern) > _LONGEST:
        raise UnreadableError(f"is longer than {_LONGEST} characters")
    try:
        syntax = _parse(pattern)
        return _Builder(backward=False).build(syntax), _Builder(backward=True).build(syntax)
    except (re.error, OverflowError) as error:
        raise UnreadableError(f"is wrong: {error}") from error
    except RecursionError as error:
        raise UnreadableError("nests its groups too deeply") from error


def _parse(pattern: str) -> Any:  # noqa: ANN401
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of sets that may once be nested
        # re has no other door to the syntax of a pattern, and a second parser would differ.
        return importlib.import_module("re._parser").parse(pattern)


@lru_cache(maxsize=256)
def _compile(pattern: str) -> tuple[Ways, re.Pattern[str]]:
    """Compile a pattern that can be read, and say in how many ways `re` may read it."""
    _machines(pattern)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return count_ways(_parse(pattern)), re.compile(pattern)


class _Builder:
    """Builds a machine from its end to its start."""

    def __init__(self, *, backward: bool) -> None:
        self.backward = backward
        self.states = [State()]
        self.sets: list[CharacterSet] = []

    def build(self, syntax: Any) -> Machine:  # noqa: ANN401
        start = self.add_all(syntax, 0, syntax.state.flags)
        return Machine(states=tuple(self.states), start=start, sets=tuple(self.sets))

    def add_all(self, nodes: Any, then: int, flags: int) -> int:  # noqa: ANN401
        for node, argument in nodes if self.backward else reversed(list(nodes)):
            then = self.add(str(node), argument, then, flags)
        return then

    def add(self, node: str, argument: Any, then: int, flags: int) -> int:  # noqa: ANN401
        if node in _UNREADABLE:
            raise UnreadableError(_UNREADABLE[node])
        if node == "AT":
            name = str(argument)
            for flag, suffix in ((re.MULTILINE, "_LINE"), (re.ASCII, "_ASCII")):
                name += suffix if flags & flag and name + suffix in _ASSERTIONS else ""
            return self.put(State((then,), looks=_ASSERTIONS[name]))
        if node == "BRANCH":
            return self.fork(*(self.add_all(nodes, then, flags) for nodes in argument[1]))
        if node == "SUBPATTERN":
            _, added, dropped, nodes = argument
            return self.add_all(nodes, then, (flags | added) & ~dropped)
        if node in {"MAX_REPEAT", "MIN_REPEAT"}:
            low, high, nodes = argument
            return self.repeat(nodes, low, None if str(high) == "MAXREPEAT" else high, then, flags)
        self.sets.append(partial(_holds, node, argument, flags))
        return self.put(State((then,), reads=len(self.sets) - 1))

    def repeat(self, nodes: Any, low: int, high: int | None, then: int, flags: int) -> int:  # noqa: ANN401
        if max(low, high or 0) > _MOST_STATES:
            raise UnreadableError(_TOO_LARGE)
        if high is None:
            loop = self.fork(then)
            self.states[loop] = State((self.add_all(nodes, loop, flags), then))
            then = loop
        else:
            entry = then
            for _ in range(high - low):
                entry = self.fork(self.add_all(nodes, entry, flags), then)
            then = entry
        for _ in range(low):
            then = self.add_all(nodes, then, flags)
        return then

    def fork(self, *following: int) -> int:
        return self.put(State(following))

    def put(self, state: State) -> int:
        if len(self.states) == _MOST_STATES:
            raise UnreadableError(_TOO_LARGE)
        self.states.append(state)
        return len(self.states) - 1


def _holds(node: str, argument: Any, flags: int, char: str) -> bool:  # noqa: ANN401
    """Tell whether a character is what a node of the syntax stands for."""
    if node == "ANY":
        return bool(flags & re.DOTALL) or char != "\n"
    if node == "IN":
        negated = str(argument[0][0]) == "NEGATE"
        return negated != any(
            _holds(str(one), value, flags, char) for one, value in argument[negated:]
        )
    if node == "CATEGORY":
        name = str(argument).removeprefix("CATEGORY_")
        plain = _CATEGORIES[name.removeprefix("NOT_")](char)
        within = plain and (char.isascii() or not flags & re.ASCII)
        return within != name.startswith("NOT_")
    forms = {char, char.lower(), char.upper()} if flags & re.IGNORECASE else {char}
    codes = {ord(form) for form in forms if len(form) == 1}
    if node == "RANGE":
        return any(argument[0] <= code <= argument[1] for code in codes)
    return (argument in codes) != (node == "NOT_LITERAL")
