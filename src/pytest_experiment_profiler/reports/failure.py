"""A transcript that failed → the text that pytest shows for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_experiment_profiler.reports.plain import make_plain, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_experiment_profiler.experiment import Transcript, Turn

ANSWER_LIMIT = 1000
QUESTION_LIMIT = 400


def explain_failure(transcript: Transcript) -> str:
    """Say which dialogue failed, where it stands, what was asked and what came back."""
    return "\n".join(_lines(transcript))


def _lines(transcript: Transcript) -> Iterator[str]:
    dialogue = transcript.dialogue
    repeat = f", repeat {transcript.repeat}" if transcript.repeat else ""
    yield f"dialogue {make_plain(dialogue.dialogue_id)}{repeat}"
    yield f"{dialogue.file}:{dialogue.line}"
    for turn in transcript.turns[-1:]:
        yield from _turn_lines(turn)


def _turn_lines(turn: Turn) -> Iterator[str]:
    user = make_plain(shorten(turn.prompt.messages[-1].content, QUESTION_LIMIT))
    yield f"turn {turn.prompt.turn}, user: {user}"
    if turn.reply is not None:
        yield f"answer: {make_plain(shorten(turn.reply.text, ANSWER_LIMIT))}"
    if turn.error is not None:
        tries = f" (after {len(turn.attempts)} attempts)" if len(turn.attempts) > 1 else ""
        message = make_plain(shorten(turn.error.message, ANSWER_LIMIT))
        yield f"error: {make_plain(turn.error.type)}: {message}{tries}"
