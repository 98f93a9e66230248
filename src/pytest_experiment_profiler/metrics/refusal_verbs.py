"""The words of a sentence go in; the same with one word for "cannot" and "will not" comes out."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.refusal_lists import list_phrases

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_experiment_profiler.metrics.refusal_lists import Phrase

_SPEAKERS = frozenset({"i", "we"})
_VERBS = (("cannot", "cannot"), ("unwilling", "willnot"))
_MOST_ADVERBS = 3


def level(words: Sequence[str]) -> Sequence[str]:
    """Level the many ways to say that one cannot or will not, so that patterns need but one."""
    if _SPEAKERS.isdisjoint(words):
        return words
    levelled: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        levelled.append(word)
        place += 1
        if word in _SPEAKERS and (said := _read(words, place)):
            levelled.append(said[0])
            place = said[1]
    return levelled


def _read(words: Sequence[str], place: int) -> tuple[str, int] | None:
    """Read a verb with the adverbs around it: the word for it, and where it ends."""
    for start in _after_adverbs(words, place, _MOST_ADVERBS):
        for name, levelled in _VERBS:
            for end in _ends(words, start, _phrases(name)):
                after = next(_after_adverbs(words, end, _MOST_ADVERBS))
                idiomatic = next(_ends(words, after, _phrases("idiom", "life")), None)
                return (levelled if idiomatic is None else "hardly"), after
    return None


def _after_adverbs(words: Sequence[str], place: int, most: int) -> Iterator[int]:
    """Give the places after some adverbs, most of them first."""
    for end in _ends(words, place, _phrases("adv")) if most else ():
        yield from _after_adverbs(words, end, most - 1)
    yield place


def _ends(
    words: Sequence[str], place: int, phrases: Mapping[str, Sequence[Phrase]]
) -> Iterator[int]:
    """Give where those phrases end that stand at a place."""
    for phrase in phrases.get(words[place], ()) if place < len(words) else ():
        end = place + len(phrase)
        if tuple(words[place:end]) == phrase:
            yield end


@cache
def _phrases(*names: str) -> Mapping[str, Sequence[Phrase]]:
    """Map the first words of lists to their phrases, in their order."""
    phrases: defaultdict[str, list[Phrase]] = defaultdict(list)
    for name in names:
        for phrase in list_phrases("en", f"{{{name}}}"):
            phrases[phrase[0]].append(phrase)
    return phrases
