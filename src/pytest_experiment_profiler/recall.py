"""The calls that a run folder remembers: to go on with it, or to answer from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.experiment import Attempt, Turn
from pytest_experiment_profiler.records import (
    Record,
    Span,
    parse_attempts,
    parse_prompt,
    parse_turn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Prompt

LOST = Attempt(
    status=None, error="lost: the run ended before an answer was logged", waited_s=0.0, lost=True
)


class Call(NamedTuple):
    """A dialogue's turn in one repeat, and the hash of what it sends."""

    dialogue_id: str
    repeat: int
    turn: int
    prompt_hash: str


class Recall:
    """An index of a folder's calls; lines stay on disk until they are asked for.

    A file's torn last line is left out.
    """

    def __init__(self, folder: Path) -> None:
        self._requests = _open(folder / "requests.jsonl")
        self._responses = _open(folder / "responses.jsonl")
        self._sent: dict[Call, Span] = {}
        self._unanswered: dict[Call, Span] = {}
        self._answered: dict[Call, Span] = {}
        self._hashes: dict[tuple[str, int, int], str] = {}
        try:
            self._index()
        except RunFolderError:
            self.close()
            raise

    def _index(self) -> None:
        tries: dict[Call, int] = {}
        for values, span in _index(self._responses):
            call = _call(values)
            self._answered[call] = span
            tries[call] = len(values.get("attempts", ()))
        for values, span in _index(self._requests):
            call = _call(values)
            self._sent[call] = span
            self._hashes[call[:3]] = call.prompt_hash
            if len(values.get("attempts", ())) >= tries.get(call, 0):
                self._unanswered[call] = span

    def close(self) -> None:
        """Close the files; nothing can be read any more."""
        for file in (self._requests, self._responses):
            if file is not None:
                file.close()

    def find(self, call: Call) -> tuple[Span, Span] | None:
        """Return where a call's request and its last response stand, if it was answered."""
        if call not in self._answered or call not in self._sent:
            return None
        return self._sent[call], self._answered[call]

    def read(self, spans: tuple[Span, Span]) -> Turn:
        """Read a call back."""
        request = _read(self._requests, spans[0])
        return parse_turn(request, _read(self._responses, spans[1]))

    def recorded(self, call: Call) -> Turn | None:
        """Read a call back by what it sent."""
        spans = self.find(call)
        return None if spans is None else self.read(spans)

    def attempts(self, call: Call) -> tuple[Attempt, ...]:
        """List all attempts of a call; one of which only the request was logged was lost."""
        if call in self._unanswered:
            return (*parse_attempts(_read(self._requests, self._unanswered[call])), LOST)
        if call in self._answered:
            return parse_attempts(_read(self._responses, self._answered[call]))
        return ()

    def nearest(self, prompt: Prompt) -> Record | None:
        """Return the request that was recorded for a dialogue's turn, whatever it sent."""
        key = (prompt.dialogue_id, prompt.repeat, prompt.turn)
        if key not in self._hashes:
            return None
        return _read(self._requests, self._sent[Call(*key, self._hashes[key])])

    @property
    def dialogue_ids(self) -> list[str]:
        """List the dialogues that were asked."""
        return list(dict.fromkeys(call.dialogue_id for call in self._sent))

    def turns(self) -> Iterator[tuple[Call, Turn]]:
        """Yield each call that was sent, with its answer if there is one, and its attempts."""
        for call in self._sent:
            spans = self.find(call)
            if spans is not None and call not in self._unanswered:
                yield call, self.read(spans)
            else:
                prompt = parse_prompt(_read(self._requests, self._sent[call]))
                yield call, Turn(prompt=prompt, reply=None, attempts=self.attempts(call))


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunFolderError(f"{path} can't be read: {error.strerror or error}") from error


def _index(file: BinaryIO | None) -> Iterator[tuple[Record, Span]]:
    offset = 0
    for line in file or ():
        if not line.endswith(b"\n"):
            return
        try:
            values: Record = json.loads(line)
            _call(values)
        except (ValueError, KeyError, TypeError) as error:
            name = getattr(file, "name", "")
            raise RunFolderError(
                f"{name}, byte {offset}: not a line of a log: {error!r}"
            ) from error
        yield values, Span(offset, len(line))
        offset += len(line)


def _call(values: Record) -> Call:
    return Call(values["dialogue_id"], values["repeat"], values["turn"], values["prompt_hash"])


def _read(file: BinaryIO | None, span: Span) -> Record:
    assert file is not None  # noqa: S101 -- the span was found in it
    file.seek(span.offset)
    values: Record = json.loads(file.read(span.length))
    return values
