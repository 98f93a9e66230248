"""The data file of word lists and patterns → both, spelt as sentences are read.

A pattern is a row of signs over plain words: `a|b` alternatives, `{name}` one of the named word
lists, `?` optional, `..` up to three words, `^` and `$` the ends of a sentence, and at its end
`!{name}` not followed by. In languages written without blanks `..` is up to twelve letters.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.metrics.plain_words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Phrase = tuple[str, ...]

_SIGNS = "?|!^$.{}"


class Pattern(NamedTuple):
    """One way to say what a frame stands for in a language."""

    language: str
    frame: str
    signs: tuple[str, ...]


@cache
def source() -> str:
    """Read the data file."""
    return Path(__file__).with_name("refusal_frames.json").read_text("utf-8")


@cache
def _data() -> Mapping[str, Any]:
    loaded: dict[str, Any] = json.loads(source())
    return loaded


@cache
def list_patterns(*, spaced: bool) -> tuple[Pattern, ...]:
    """List the patterns of the languages that part words by blanks, or of those that don't."""
    return tuple(
        Pattern(name, frame, tuple(pattern.split()))
        for name, language in _data()["languages"].items()
        if language.get("spaced", True) is spaced
        for frame, patterns in language["frames"].items()
        for pattern in patterns
    )


@cache
def list_phrases(language: str, sign: str) -> tuple[Phrase, ...]:
    """List what may stand for a sign of a pattern."""
    lists = _data()["languages"][language]["words"]
    choices: list[str] = []
    for part in sign.strip("!?").split("|"):
        choices += lists[part[1:-1]] if part.startswith("{") else [part]
    return tuple(tuple(_spell(choice)) for choice in choices)


@cache
def generic() -> frozenset[str]:
    """Collect the words that say nothing of the matter: the frames' own, and function words."""
    pieces = [*_data()["generic"]]
    for language in _data()["languages"].values():
        pieces += [word for words in language["words"].values() for word in words]
        pieces += [pattern for patterns in language["frames"].values() for pattern in patterns]
    common = _part(piece for piece in pieces if piece.isascii())
    others = _part(piece for piece in pieces if not piece.isascii())
    return common.union(plain(" ".join(others)))


def _part(patterns: Iterable[str]) -> frozenset[str]:
    text = " ".join(patterns)
    for sign in _SIGNS:  # much quicker than `translate` where a text isn't ASCII
        text = text.replace(sign, " ")
    return frozenset(text.split())


def _spell(text: str) -> list[str]:
    return text.split() if text.isascii() else plain(text)
