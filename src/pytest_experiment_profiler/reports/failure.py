"""A transcript that failed → the text that pytest and the shell show for it."""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.pricing import count_tokens, price_usd
from pytest_experiment_profiler.records import fact_record
from pytest_experiment_profiler.reports.facts import say_fact
from pytest_experiment_profiler.reports.plain import make_line, make_plain, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_experiment_profiler.experiment import FactMatch, Refusal, Transcript, Turn

ANSWER_LIMIT = 1000
QUESTION_LIMIT = 400
MATCH_LIMIT = 80
WIDTH = 96


class Place(NamedTuple):
    """Where more is to be found: how to run the dialogue again, and its line in the logs."""

    rerun: str | None = None
    log: str | None = None


def list_failed(transcripts: list[Transcript], gates: tuple[str, ...]) -> list[Transcript]:
    """List the repeats of a dialogue to be told of: those that errored, or one that broke gates."""
    errors = [transcript for transcript in transcripts if transcript.outcome == "error"]
    return errors or (transcripts[-1:] if gates else [])


def explain_failure(
    transcript: Transcript, place: Place | None = None, gates: tuple[str, ...] = ()
) -> str:
    """Say which dialogue failed, where it stands, what was asked, what came back and its worth.

    `gates` are the sentences of the gates that it broke.
    """
    return "\n".join(_lines(transcript, place or Place(), gates))


def _lines(transcript: Transcript, place: Place, gates: tuple[str, ...]) -> Iterator[str]:
    dialogue = transcript.dialogue
    repeat = f", repeat {transcript.repeat}" if transcript.repeat else ""
    yield f"dialogue {make_line(dialogue.dialogue_id)}{repeat}"
    yield f"{dialogue.file}:{dialogue.line}"
    for turn in transcript.turns[-1:]:
        of = f" (from 0) of {len(dialogue.turns)}" if len(dialogue.turns) > 1 else ""
        label = f"turn {turn.prompt.turn}{of}, user"
        yield from _quote(label, turn.prompt.messages[-1].content, QUESTION_LIMIT)
        if turn.reply is not None:
            yield from _quote("answer", turn.reply.text or "(empty)", ANSWER_LIMIT)
    if any(turn.reply for turn in transcript.turns):
        yield from map(_show_fact, transcript.facts or ())
    yield from _refusals(transcript.refusals or ())
    for turn in transcript.turns[-1:]:
        yield from _error(turn)
        yield from _numbers(turn)
    for gate in gates:
        yield f"gate: {make_plain(gate)}"
    if place.rerun:
        yield f"rerun: pytest {_quote_word(make_plain(place.rerun))}"
    if place.log:
        yield f"log: {place.log}"


def _quote(label: str, text: str, limit: int, width: int = WIDTH) -> Iterator[str]:
    """Show a text on the label's line if it fits, else wrapped, each line behind a bar.

    The bar keeps a line of a model's text from being taken for one of ours, or for a command of
    a CI system.
    """
    lines = make_plain(shorten(text, limit)).split("\n")
    if len(lines) == 1 and len(lines[0]) + len(label) + 2 <= width:
        yield f"{label}: {lines[0]}"
        return
    yield f"{label}:"
    for line in lines:
        for part in textwrap.wrap(line, WIDTH - 2, break_on_hyphens=False) or [""]:
            yield f"| {part}".rstrip()


def _quote_word(node_id: str) -> str:
    """Put a node id into quotes in which no shell finds anything to run."""
    return shlex.quote(node_id) if set(node_id) & set('"$`\\!') else f'"{node_id}"'


def _show_fact(match: FactMatch) -> str:
    fact = say_fact(fact_record(match.fact))
    mark = "✓" if match.found else "✗"
    found = f" ({shorten(match.matched, MATCH_LIMIT)})" if match.matched else ""
    return make_line(f"{mark} {shorten(fact, MATCH_LIMIT)}{found}")


def _refusals(refusals: tuple[Refusal, ...]) -> Iterator[str]:
    for refusal in refusals:
        if refusal.label != "none":
            evidence = make_line(refusal.evidence or "")
            yield f"refusal: {refusal.label} (score {refusal.score:.2f}): {evidence}"


def _error(turn: Turn) -> Iterator[str]:
    if turn.error is not None:
        tries = f" (after {len(turn.attempts)} attempts)" if len(turn.attempts) > 1 else ""
        message = f"{turn.error.type}: {turn.error.message}"
        yield from _quote(f"error{tries}", message, ANSWER_LIMIT, width=ANSWER_LIMIT)


def _numbers(turn: Turn) -> Iterator[str]:
    reply, parts = turn.reply, []
    if reply is not None and any(count_tokens(reply.usage)):
        sent, received = count_tokens(reply.usage)
        parts.append(f"tokens: {sent:,} in, {received:,} out")
        price = price_usd(reply.model or turn.prompt.model, reply.usage)
        parts.append("cost unknown" if price is None else f"cost: ${price:.6f}")
    if turn.latency_s is not None:
        parts.append(f"latency: {turn.latency_s:.2f} s")
    if reply is not None and reply.request_id:
        parts.append(f"request: {make_line(reply.request_id)}")
    if parts:
        yield ", ".join(parts)
