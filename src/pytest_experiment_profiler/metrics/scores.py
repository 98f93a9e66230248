"""A transcript that was read → its line in scores.jsonl."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.metrics import fact_coverage
from pytest_experiment_profiler.metrics.own import Own, check_value
from pytest_experiment_profiler.records import Record, fact_record

if TYPE_CHECKING:
    from pytest_experiment_profiler.experiment import FactMatch, Refusal, Transcript


_KEYS = ("dialogue_id", "repeat", "outcome", "fact_coverage", "facts", "refusal", "metric_errors")


def score_record(transcript: Transcript, own: Own) -> Record:
    """Say what a dialogue is worth in one repeat."""
    values: Record = {
        "dialogue_id": transcript.dialogue.dialogue_id,
        "repeat": transcript.repeat,
        "outcome": transcript.outcome,
        "fact_coverage": fact_coverage(transcript),
        "facts": [_fact(fact) for fact in transcript.facts or ()],
        "refusal": [_refusal(refusal) for refusal in transcript.refusals or ()],
    }
    values |= own.values
    return values | {"metric_errors": dict(own.errors)} if own.errors else values


def parse_own(record: Record) -> Own:
    """Read own metrics back from a line of scores.jsonl; raise RunFolderError for what is none."""
    values = {name: value for name, value in record.items() if name not in _KEYS}
    try:
        checked = {
            n: check_value(tuple(v) if isinstance(v, list) else v) for n, v in values.items()
        }
    except (TypeError, ValueError) as error:
        where = f"scores.jsonl, dialogue {record['dialogue_id']}"
        raise RunFolderError(f"{where}: not the value of a metric: {error}") from error
    return Own(values=checked, errors=dict(record.get("metric_errors", {})))


def _fact(match: FactMatch) -> Record:
    return {"fact": fact_record(match.fact), "found": match.found, "matched": match.matched}


def _refusal(refusal: Refusal) -> Record:
    return {"label": refusal.label, "score": refusal.score, "evidence": refusal.evidence}
