"""The data file of word lists and patterns → both.

`benchmarks/fold_lists.py` writes it, spelt as sentences are read. A pattern is a row of signs over
plain words: `a|b` alternatives, `{name}` one of the named word lists, `a_b` two words, `?`
optional, `..` up to three words, `^` and `$` the ends of a sentence, and at its end `!{name}` not
followed by. In languages written without blanks `..` is up to twelve letters.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Phrase = tuple[str, ...]


class Pattern(NamedTuple):
    """One way to say what a frame stands for in a language."""

    language: str
    frame: str
    signs: tuple[str, ...]


@cache
def _data() -> Mapping[str, Any]:
    file = Path(__file__).with_name("refusal_lists.json")
    loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded


@cache
def openings() -> Mapping[str, str]:
    """Tell which patterns, by their numbers, a word may open wherever it stands."""
    found: dict[str, str] = _data()["openings"]
    return found


def list_openings(word: str) -> list[Pattern]:
    """List the patterns that a word may open."""
    return [_pattern(int(number)) for number in openings()[word].split()]


def list_starts() -> list[Pattern]:
    """List the patterns at the start of a sentence."""
    return [_pattern(number) for number in _data()["starts"]]


def list_unspaced() -> list[Pattern]:
    """List the patterns of the languages that don't part words by blanks."""
    return [_pattern(number) for number in _data()["unspaced"]]


def _pattern(number: int) -> Pattern:
    language, frame, *signs = _data()["patterns"][number].split()
    return Pattern(language, frame, tuple(signs))


@cache
def list_phrases(language: str, sign: str) -> tuple[Phrase, ...]:
    """List what may stand for a sign of a pattern."""
    lists = _data()["words"][language]
    phrases: list[Phrase] = []
    for part in sign.strip("!?").split("|"):
        if part.startswith("{"):
            phrases += [tuple(words.split()) for words in lists[part[1:-1]].split("|")]
        else:
            phrases.append(tuple(part.split("_")))
    return tuple(phrases)


@cache
def generic() -> frozenset[str]:
    """Give the words that say nothing of the matter: the frames' own, and function words."""
    return frozenset(_data()["generic"].split())
