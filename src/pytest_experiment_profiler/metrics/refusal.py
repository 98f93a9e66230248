"""Tell from an answer's text and stop reason whether it refuses."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.experiment import Refusal
from pytest_experiment_profiler.metrics.keywords import (
    KEYWORDS,
    detect_keywords,
    find_phrase,
    read_stop_reason,
    shorten,
)
from pytest_experiment_profiler.metrics.refusal_features import LECTURE, REDIRECT, features
from pytest_experiment_profiler.metrics.refusal_frames import DECLINING, LIMITS, frame
from pytest_experiment_profiler.metrics.refusal_masks import without_thinking
from pytest_experiment_profiler.metrics.refusal_text import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_experiment_profiler.experiment import Detector
    from pytest_experiment_profiler.metrics.refusal_frames import Frames
    from pytest_experiment_profiler.metrics.refusal_text import Reading

__all__ = ["KEYWORDS", "detect", "load_weights", "version"]

FULL = 0.5

_REFUSING = DECLINING | LIMITS | LECTURE | {"persona", "sorry"}
_STRENGTH = (DECLINING, frozenset({"policy", "endorse"}), LIMITS, LECTURE, REDIRECT)


class Weights(NamedTuple):
    """A logistic regression over the features of an answer, and the labelled data behind it."""

    version: str
    sources: tuple[str, ...]
    intercept: float
    weights: Mapping[str, float]


def detect(
    text: str,
    stop_reason: str | None = None,
    *,
    detector: Detector = "text",
    patterns: tuple[str, ...] = (),
) -> Refusal:
    """Judge one answer: the provider's stop reason first, then the words.

    :param detector: "keywords" looks for `KEYWORDS` and no more, "text" reads the sentences.
    :param patterns: further phrases that make an answer a refusal, in any case.
    """
    if detector == "keywords":
        return detect_keywords(text, stop_reason, patterns)
    if refusal := read_stop_reason(stop_reason):
        return refusal
    if patterns and (refusal := find_phrase(without_thinking(text), patterns)):
        return refusal
    return _judged(text)


def version() -> str:
    """Name the word lists and weights in use; it changes when they do."""
    return load_weights().version


@cache
def load_weights() -> Weights:
    """Load the weights that `benchmarks/train_refusal.py` wrote."""
    file = Path(__file__).with_name("refusal_weights.json")
    data = json.loads(file.read_text("utf-8"))
    return Weights(
        version=data["version"],
        sources=tuple(data["sources"]),
        intercept=data["intercept"],
        weights=data["weights"],
    )


def _judged(text: str) -> Refusal:
    reading = read(text)
    frames = frame(reading.sentences)
    if all(map(_REFUSING.isdisjoint, frames)):
        return Refusal(label="none", score=0.0)
    score = _score(features(reading, frames))
    if score < FULL and all(map(DECLINING.isdisjoint, frames)):
        return Refusal(label="none", score=score)
    evidence = _evidence(text, reading, frames)
    return Refusal(label="full" if score >= FULL else "partial", score=score, evidence=evidence)


def _score(values: Mapping[str, float]) -> float:
    model = load_weights()
    weigh = model.weights.get
    weighed = [weigh(name, 0.0) * value for name, value in values.items()]
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, math.fsum(weighed) + model.intercept))))


def _evidence(text: str, reading: Reading, frames: Sequence[Frames]) -> str:
    """Quote the first sentence of the strongest kind."""
    for kind in _STRENGTH:
        for sentence, found in zip(reading.sentences, frames, strict=True):
            if not found.isdisjoint(kind):
                return shorten(text[sentence.start : sentence.end])
    return shorten(text[reading.sentences[0].start : reading.sentences[0].end])
