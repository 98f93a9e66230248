"""What answers are worth: readers of text, and metrics as pure functions of a transcript."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics.exact import match_exactly
from pytest_experiment_profiler.metrics.keywords import detect_keywords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_experiment_profiler.experiment import (
        Experiment,
        Fact,
        FactMatch,
        FactMode,
        Metric,
        Refusal,
        Reply,
        Transcript,
        Value,
    )


def read_answers(transcript: Transcript, experiment: Experiment) -> Transcript:
    """Add to a transcript what the readers find in its answers."""
    return read_all((transcript,), experiment)[0]


def read_all(transcripts: Sequence[Transcript], experiment: Experiment) -> list[Transcript]:
    """Add to each transcript what the readers find in its answers, one reader after the other."""
    facts = [_match_facts(transcript, experiment) for transcript in transcripts]
    refusals = [
        tuple(_detect(turn.reply, experiment) for turn in transcript.turns if turn.reply)
        for transcript in transcripts
    ]
    return [
        replace(transcript, facts=found, refusals=judged)
        for transcript, found, judged in zip(transcripts, facts, refusals, strict=True)
    ]


def _detect(reply: Reply, experiment: Experiment) -> Refusal:
    """Judge a reply; the detector of sentences is imported where a manifest asks for it."""
    patterns = experiment.refusal_patterns
    if experiment.detector == "keywords":
        return detect_keywords(reply.text, reply.stop_reason, patterns)
    from pytest_experiment_profiler.metrics.refusal import detect  # noqa: PLC0415 -- much to compile

    return detect(reply.text, reply.stop_reason, patterns=patterns)


def _match(facts: Sequence[Fact], text: str, mode: FactMode) -> tuple[FactMatch, ...]:
    """Look for facts; the reader of words is imported where a manifest asks for it."""
    if mode == "exact":
        return match_exactly(facts, text)
    from pytest_experiment_profiler.metrics.facts import match_all  # noqa: PLC0415 -- much to compile

    return match_all(facts, text, mode)


def _match_facts(transcript: Transcript, experiment: Experiment) -> tuple[FactMatch, ...]:
    facts = _without_doubles(transcript.dialogue.required_facts, experiment.fact_mode)
    whole = tuple(fact for fact in facts if fact.turn is None)
    found = dict(zip(whole, _match(whole, transcript.text, experiment.fact_mode), strict=True))
    for fact in facts:
        if fact.turn is not None:
            answers = [
                t.reply.text for t in transcript.turns if t.reply and t.prompt.turn == fact.turn
            ]
            text = answers[0] if answers else ""
            found[fact] = _match((fact,), text, experiment.fact_mode)[0]
    return tuple(found[fact] for fact in facts)


def _without_doubles(facts: Sequence[Fact], mode: FactMode) -> tuple[Fact, ...]:
    """Keep the first of the facts that differ in nothing that a match can see."""
    if len(facts) < 2:  # noqa: PLR2004 -- a double takes two
        return tuple(facts)
    first: dict[object, Fact] = {}
    for fact in facts:
        words = frozenset(_normalise(wording, fact, mode) for wording in fact.wordings)
        first.setdefault((fact.form, fact.turn, words), fact)
    return tuple(first.values())


def _normalise(wording: str, fact: Fact, mode: FactMode) -> str:
    if fact.form == "regex":
        return wording
    if mode == "exact":
        return wording.casefold()
    from pytest_experiment_profiler.metrics.wordings import read_wording  # noqa: PLC0415 -- as above

    rows = read_wording(wording).rows
    return rows[0].keys if rows else wording.casefold()


def fact_coverage(transcript: Transcript) -> Value:
    """Divide the facts found in a complete dialogue by those expected; None without facts."""
    counted = fact_coverage_micro(transcript)
    return counted[0] / counted[1] if isinstance(counted, tuple) else None


def fact_coverage_micro(transcript: Transcript) -> Value:
    """Count the facts found in a complete dialogue, and those expected; None without facts."""
    if transcript.outcome != "ok" or not transcript.facts:
        return None
    return float(sum(fact.found for fact in transcript.facts)), float(len(transcript.facts))


def fact_coverage_answered(transcript: Transcript) -> Value:
    """Give the coverage of a dialogue in which no turn was refused."""
    refused = any(refusal.label == "full" for refusal in transcript.refusals or ())
    return None if refused else fact_coverage(transcript)


def refusal_rate(transcript: Transcript) -> Value:
    """Count full refusals, and replies."""
    refusals = transcript.refusals or ()
    return _share(sum(refusal.label == "full" for refusal in refusals), len(refusals))


def empty_rate(transcript: Transcript) -> Value:
    """Count replies without text, and replies."""
    texts = [turn.reply.text for turn in transcript.turns if turn.reply]
    return _share(sum(not text.strip() for text in texts), len(texts))


def truncated_rate(transcript: Transcript) -> Value:
    """Count replies cut off at a limit of tokens, and replies."""
    cut = ("max_tokens", "model_context_window_exceeded")
    reasons = [turn.reply.stop_reason for turn in transcript.turns if turn.reply]
    return _share(sum(reason in cut for reason in reasons), len(reasons))


def error_rate(transcript: Transcript) -> Value:
    """Count a dialogue that ended in an error, and that it was attempted; None if not run."""
    return None if transcript.outcome == "not_run" else _share(transcript.outcome == "error", 1)


def _share(part: int, whole: int) -> Value:
    return (float(part), float(whole)) if whole else None


METRICS: Mapping[str, Metric] = {
    "fact_coverage": fact_coverage,
    "refusal_rate": refusal_rate,
    "fact_coverage_micro": fact_coverage_micro,
    "fact_coverage_answered": fact_coverage_answered,
    "error_rate": error_rate,
    "empty_rate": empty_rate,
    "truncated_rate": truncated_rate,
}
