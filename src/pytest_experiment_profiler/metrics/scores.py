"""A transcript that was read → its line in scores.jsonl."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics import fact_coverage
from pytest_experiment_profiler.records import Record, fact_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_experiment_profiler.experiment import FactMatch, Refusal, Transcript, Value


_KEYS = ("dialogue_id", "repeat", "outcome", "fact_coverage", "facts", "refusal")


def score_record(transcript: Transcript, own: Mapping[str, Value]) -> Record:
    """Say what a dialogue is worth in one repeat; `own` are the values of own metrics."""
    values: Record = {
        "dialogue_id": transcript.dialogue.dialogue_id,
        "repeat": transcript.repeat,
        "outcome": transcript.outcome,
        "fact_coverage": fact_coverage(transcript),
        "facts": [_fact(fact) for fact in transcript.facts or ()],
        "refusal": [_refusal(refusal) for refusal in transcript.refusals or ()],
    }
    return values | dict(own)


def own_values(record: Record) -> dict[str, Value]:
    """Read the values of own metrics back from a line of scores.jsonl."""
    own = {name: value for name, value in record.items() if name not in _KEYS}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in own.items()}


def checked_value(value: object) -> Value:
    """Return what an own metric gave if it is a value; raise TypeError or ValueError if not."""
    numbers = value if isinstance(value, tuple) else (0.0 if value is None else value, 1.0)
    if len(numbers) != 2:  # noqa: PLR2004 -- numerator and denominator
        raise ValueError(f"a metric returns a number, None or two numbers, not {value!r}")
    first, second = float(numbers[0]), float(numbers[1])
    if not (math.isfinite(first) and math.isfinite(second)):
        raise ValueError(f"a metric returned {value!r}, which is not finite")
    if value is None:
        return None
    return (first, second) if isinstance(value, tuple) else first


def _fact(match: FactMatch) -> Record:
    return {"fact": fact_record(match.fact), "found": match.found, "matched": match.matched}


def _refusal(refusal: Refusal) -> Record:
    return {"label": refusal.label, "score": refusal.score, "evidence": refusal.evidence}
