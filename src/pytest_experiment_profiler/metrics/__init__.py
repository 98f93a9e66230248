"""What answers are worth: readers of text, and metrics as pure functions of a transcript."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.metrics.exact import match_exactly
from pytest_experiment_profiler.metrics.keywords import detect_keywords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_experiment_profiler.experiment import (
        Experiment,
        Fact,
        FactMatch,
        Metric,
        Refusal,
        Reply,
        Transcript,
        Value,
    )


_CUT = frozenset({"max_tokens", "model_context_window_exceeded", "length", "max_output_tokens"})
"""Stop reasons by which providers say that an answer was cut off, in any case."""


class Readers(NamedTuple):
    """What reads answers: finds facts in a text, names a wording, judges a reply."""

    match: Callable[[Sequence[Fact], str], tuple[FactMatch, ...]]
    name: Callable[[str], str]
    judge: Callable[[Reply], Refusal]


def open_readers(experiment: Experiment) -> Readers:
    """Import the readers that a manifest asks for, of which some have much to compile.

    A thread that imports them later may compile them while pytest shows an error in another: two
    that compile at once can fail each other in Python 3.11 (gh-106905).
    """
    patterns, mode = experiment.refusal_patterns, experiment.fact_mode
    detect: Callable[..., Refusal] = detect_keywords
    if experiment.detector != "keywords":
        from pytest_experiment_profiler.metrics.refusal import detect  # noqa: PLC0415 -- as above
    judge = partial(_judge, detect, patterns)
    if mode == "exact":
        return Readers(match_exactly, str.casefold, judge)
    from pytest_experiment_profiler.metrics.facts import match_all  # noqa: PLC0415 -- as above
    from pytest_experiment_profiler.metrics.wordings import name_wording  # noqa: PLC0415

    return Readers(partial(match_all, mode=mode), name_wording, judge)


def read_answers(transcript: Transcript, experiment: Experiment) -> Transcript:
    """Add to a transcript what the readers find in its answers."""
    return read_all((transcript,), open_readers(experiment))[0]


def read_all(transcripts: Sequence[Transcript], readers: Readers) -> list[Transcript]:
    """Add to each transcript what the readers find in its answers, one reader after the other."""
    facts = [_match_facts(transcript, readers) for transcript in transcripts]
    refusals = [
        tuple([readers.judge(turn.reply) for turn in transcript.turns if turn.reply])
        for transcript in transcripts
    ]
    return [
        replace(transcript, facts=found, refusals=judged)
        for transcript, found, judged in zip(transcripts, facts, refusals, strict=True)
    ]


def _judge(detect: Callable[..., Refusal], patterns: tuple[str, ...], reply: Reply) -> Refusal:
    return detect(reply.text, reply.stop_reason, patterns=patterns)


def _match_facts(transcript: Transcript, readers: Readers) -> tuple[FactMatch, ...]:
    """Look for a dialogue's facts, all that concern one text at once."""
    facts = _without_doubles(transcript.dialogue.required_facts, readers.name)
    turns = {fact.turn for fact in facts}
    if len(turns) == 1:
        return readers.match(facts, _text_of(transcript, facts[0].turn))
    found: dict[Fact, FactMatch] = {}
    for turn in turns:
        same = [fact for fact in facts if fact.turn == turn]
        found.update(zip(same, readers.match(same, _text_of(transcript, turn)), strict=True))
    return tuple(found[fact] for fact in facts)


def _text_of(transcript: Transcript, turn: int | None) -> str:
    """Give the answer of a turn, "" where there is none; of no turn: all answers."""
    if turn is None:
        return transcript.text
    replies = (t.reply.text for t in transcript.turns if t.reply and t.prompt.turn == turn)
    return next(replies, "")


def _without_doubles(facts: Sequence[Fact], name: Callable[[str], str]) -> Sequence[Fact]:
    """Keep the first of the facts that differ in nothing that a match can see."""
    names = [name(wording) for fact in facts for wording in fact.wordings]
    if len(set(names)) == len(names):
        return facts
    first: dict[object, Fact] = {}
    for fact in facts:
        words = fact.wordings if fact.form == "regex" else map(name, fact.wordings)
        first.setdefault((fact.form, fact.turn, frozenset(words)), fact)
    return tuple(first.values())


def fact_coverage(transcript: Transcript) -> Value:
    """Divide the facts found in a complete dialogue by those expected; None without facts."""
    counted = fact_coverage_micro(transcript)
    return counted[0] / counted[1] if isinstance(counted, tuple) else None


def fact_coverage_micro(transcript: Transcript) -> Value:
    """Count the facts found in a complete dialogue, and those expected; None without facts."""
    facts = transcript.facts
    if not facts or transcript.outcome != "ok":
        return None
    return float([fact.found for fact in facts].count(True)), float(len(facts))


def fact_coverage_answered(transcript: Transcript) -> Value:
    """Give the coverage of a dialogue in which no turn was refused."""
    return None if _count_full(transcript.refusals or ()) else fact_coverage(transcript)


def refusal_rate(transcript: Transcript) -> Value:
    """Count full refusals, and replies."""
    refusals = transcript.refusals or ()
    return _share(_count_full(refusals), len(refusals))


def _count_full(refusals: Sequence[Refusal]) -> int:
    return [refusal.label for refusal in refusals].count("full")


def empty_rate(transcript: Transcript) -> Value:
    """Count replies without text, and replies."""
    texts = [turn.reply.text for turn in transcript.turns if turn.reply]
    return _share([not text.strip() for text in texts].count(True), len(texts))


def truncated_rate(transcript: Transcript) -> Value:
    """Count replies cut off at a limit of tokens, and replies."""
    reasons = [turn.reply.stop_reason or "" for turn in transcript.turns if turn.reply]
    return _share([reason.casefold() in _CUT for reason in reasons].count(True), len(reasons))


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
