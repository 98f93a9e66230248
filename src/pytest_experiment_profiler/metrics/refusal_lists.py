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
def list_patterns(*, spaced: bool) -> tuple[Pattern, ...]:
    """List the patterns of the languages that part words by blanks, or of those that don't."""
    return tuple(
        Pattern(name, frame, tuple(pattern.split()))
        for name, language in _data()["languages"].items()
        if language["spaced"] is spaced
        for frame, patterns in language["frames"].items()
        for pattern in patterns
    )


@cache
def list_phrases(language: str, sign: str) -> tuple[Phrase, ...]:
    """List what may stand for a sign of a pattern."""
    lists = _data()["languages"][language]["words"]
    phrases: list[Phrase] = []
    for part in sign.strip("!?").split("|"):
        if part.startswith("{"):
            phrases += [tuple(words.split()) for words in lists[part[1:-1]]]
        else:
            phrases.append(tuple(part.split("_")))
    return tuple(phrases)


@cache
def generic() -> frozenset[str]:
    """Give the words that say nothing of the matter: the frames' own, and function words."""
    return frozenset(_data()["generic"].split())
