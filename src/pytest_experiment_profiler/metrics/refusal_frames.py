"""Find the sentence frames that refusals and answers are made of.

A frame is a list of patterns over plain words: `a|b` alternatives, `{name}` one of the named
word lists, `?` optional, `..` up to three words, `!{name}` not followed by, `^` and `$` the ends
of a sentence. In languages written without blanks `..` is up to twelve letters.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.metrics.refusal_text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_experiment_profiler.metrics.refusal_text import Sentence

Frames = frozenset[str]

DECLINING: Frames = frozenset({"decline", "block"})
LIMITS: Frames = frozenset({"ability", "soft", "opinion", "endorse", "policy", "inability"})
UNWEIGHED: Frames = frozenset({"idiomatic", "presents", "says", "sorry", "neutral"})


class _Following(NamedTuple):
    """What may follow the first word of patterns: all in one, and frame by frame."""

    any: re.Pattern[str]
    each: tuple[tuple[str, re.Pattern[str]], ...]


def frame(sentences: Iterable[Sentence]) -> tuple[Frames, ...]:
    """Name the frames of each sentence; what the answer merely puts forward declines nothing."""
    framed: list[Frames] = []
    presenting = listing = saying = False
    end = -1
    for sentence in sentences:
        found = _frames_of(sentence)
        saying = "says" in found or (saying and sentence.start == end)
        if "idiomatic" in found:
            found -= {"decline", "soft", "inability"}
        if presenting or saying or (listing and sentence.item):
            found -= DECLINING | {"inability"}
        if sentence.opens_list:
            listing = found.isdisjoint(DECLINING | LIMITS)
            presenting = presenting or (listing and "presents" in found)
        framed.append(found)
        end = sentence.end
    return tuple(framed)


def _frames_of(sentence: Sentence) -> Frames:
    words = sentence.words
    if " i " in words or " we " in words:
        words = _leveller().sub(_levelled, words)
    found: set[str] = set()
    position = 1
    starts = _starts()
    for word in words.split():
        position += len(word) + 1
        if word in starts:
            following = _following(word)
            if following.any.match(words, position):
                found.update(name for name, one in following.each if one.match(words, position))
    first = f"^{words.split(maxsplit=1)[0]}"
    if first in starts:
        place = len(first) + 1
        found.update(name for name, one in _following(first).each if one.match(words, place))
    if not words.isascii():
        found.update(name for name, pattern in _unspaced() if pattern.search(words))
    return frozenset(found)


def _levelled(phrase: re.Match[str]) -> str:
    if phrase["idiom"] is not None:
        return f"{phrase['i']} hardly "
    return f"{phrase['i']} {'cannot' if phrase['cannot'] else 'willnot'} "


@cache
def _leveller() -> re.Pattern[str]:
    """Match the many ways to say that one cannot or will not, so that patterns need but one."""
    lists = _data()["languages"]["en"]["words"]
    adverb, cannot, unwilling, idiom = (
        _regex(sign, lists, blank=" ")
        for sign in ("{adv}", "{cannot}", "{unwilling}", "{idiom}|{life}")
    )
    return re.compile(
        rf"(?<= )(?P<i>i|we) (?:{adverb}){{0,3}}(?:(?P<cannot>{cannot})|{unwilling})"
        rf"(?:{adverb}){{0,3}}(?P<idiom>(?={idiom}))?"
    )


@cache
def source() -> str:
    """Read the data file of word lists and patterns."""
    file = resources.files("pytest_experiment_profiler.metrics") / "refusal_frames.json"
    return file.read_text("utf-8")


@cache
def _data() -> Mapping[str, Any]:
    loaded: dict[str, Any] = json.loads(source())
    return loaded


@cache
def generic() -> Frames:
    """Collect the words that say nothing of the matter: the frames' own, and function words."""
    pieces = [*_data()["generic"]]
    for language in _data()["languages"].values():
        pieces += [word for words in language["words"].values() for word in words]
        pieces += [pattern for patterns in language["frames"].values() for pattern in patterns]
    signs = str.maketrans(dict.fromkeys("?|!^$.{}", " "))
    return frozenset(plain(" ".join(pieces).translate(signs)).split())


@cache
def _starts() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Map each word that can begin a pattern, `^` before it at the start of a sentence only."""
    starts: dict[str, dict[str, tuple[str, ...]]] = {}
    for lists, name, pattern in _patterns(spaced=True):
        for word, regex in _openings(pattern.split(), lists):
            frames = starts.setdefault(word, {})
            frames[name] = (*frames.get(name, ()), regex)
    return starts


@cache
def _following(word: str) -> _Following:
    frames = _starts()[word]
    return _Following(
        _compiled(tuple(regex for regexes in frames.values() for regex in regexes)),
        tuple((name, _compiled(regexes)) for name, regexes in frames.items()),
    )


@cache
def _compiled(regexes: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(regexes))


@cache
def _unspaced() -> tuple[tuple[str, re.Pattern[str]], ...]:
    frames: dict[str, list[str]] = {}
    for lists, name, pattern in _patterns(spaced=False):
        regex = "".join(_regex(sign, lists, blank="") for sign in pattern.split())
        frames.setdefault(name, []).append(regex)
    return tuple((name, re.compile("|".join(each))) for name, each in frames.items())


def _patterns(*, spaced: bool) -> Iterator[tuple[Mapping[str, list[str]], str, str]]:
    for language in _data()["languages"].values():
        if language.get("spaced", True) is spaced:
            for name, patterns in language["frames"].items():
                for pattern in patterns:
                    yield language["words"], name, pattern


def _openings(signs: list[str], lists: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Give each first word of a pattern with the regular expression of what follows it."""
    lead = "^" if signs[0] == "^" else ""
    first, *rest = signs[1:] if lead else signs
    if first.endswith("?"):
        yield from _openings([lead, *rest] if lead else rest, lists)
    tail = "".join(_regex(sign, lists, blank=" ") for sign in rest)
    openings: dict[str, list[str]] = {}
    for choice in _choices(first, lists):
        word, _, more = f"{choice} ".partition(" ")
        openings.setdefault(word, []).append(re.escape(more))
    for word, ends in openings.items():
        yield lead + word, f"(?:{'|'.join(ends)}){tail}" if any(ends) else tail


def _regex(sign: str, lists: Mapping[str, list[str]], blank: str) -> str:
    if sign == "..":
        return "(?:[^ ]+ ){0,3}?" if blank else ".{0,12}?"
    if sign == "$":
        return r"\Z" if blank else r" ?\Z"
    if sign == "^":
        return r"\A ?"
    if sign.startswith("!"):
        return f"(?!{_regex(sign[1:], lists, blank)})"
    choices = "|".join(re.escape(choice) + blank for choice in _choices(sign, lists))
    return f"(?:{choices}){'?' if sign.endswith('?') else ''}"


def _choices(sign: str, lists: Mapping[str, list[str]]) -> list[str]:
    choices: list[str] = []
    for part in sign.removesuffix("?").split("|"):
        choices += lists[part[1:-1]] if part.startswith("{") else [part]
    return [choice if choice.isascii() else plain(choice).strip() for choice in choices]
