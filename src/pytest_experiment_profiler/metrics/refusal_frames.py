"""The sentences of an answer go in; the frames that refusals and answers are made of come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.refusal_patterns import find_frames
from pytest_experiment_profiler.metrics.refusal_verbs import level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_experiment_profiler.metrics.refusal_text import Sentence

Frames = frozenset[str]

DECLINING: Frames = frozenset({"decline", "block"})
LIMITS: Frames = frozenset({"ability", "soft", "opinion", "endorse", "policy", "inability"})
_REFUSING: Frames = DECLINING | {"inability"}
UNWEIGHED: Frames = frozenset({"idiomatic", "presents", "says", "sorry", "neutral"})


def frame(sentences: Iterable[Sentence]) -> tuple[Frames, ...]:
    """Name the frames of each sentence; what the answer merely puts forward declines nothing."""
    framed: list[Frames] = []
    presenting = listing = saying = False
    end = -1
    for sentence in sentences:
        found = find_frames(level(sentence.words))
        saying = "says" in found or (saying and sentence.start == end)
        if "idiomatic" in found:
            found -= {"decline", "soft", "inability", "redirect"}
        quoting = presenting or saying or (listing and sentence.item)
        if quoting and not found.isdisjoint(_REFUSING):
            found = (found - _REFUSING) | {"quoted"}
        elif not found.isdisjoint(DECLINING):
            found -= {"stance"}
        if sentence.opens_list:
            listing = found.isdisjoint(DECLINING | LIMITS)
            presenting = presenting or (listing and "presents" in found)
        framed.append(frozenset(found))
        end = sentence.end
    return tuple(framed)
