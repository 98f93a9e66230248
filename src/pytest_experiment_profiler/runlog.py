"""A run's logs: lines appended as calls end, put into dataset order at the end."""

from __future__ import annotations

import json
import math
import os
from array import array
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import orjson

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.records import (
    Record,
    Span,
    dialogue_record,
    request_record,
    response_record,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Attempt, Dialogue, Prompt, Turn

REDACTED = "[redacted]"

MAX_DEPTH = 30
"""How deep metadata may nest; what is deeper is left out."""

_OPTIONS = (
    orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
)
_DERIVED = ("dialogues", "scores")
_LOGS = (*_DERIVED, "requests", "responses")


def pack_rank(position: int, repeat: int, turn: int) -> int:
    """Say where a line belongs, by dialogue, repeat and turn, in one number of 64 bits."""
    return position << 32 | repeat << 16 | turn


def encode(values: Mapping[str, Any]) -> bytes:
    """Write one JSON line as UTF-8.

    Text that UTF-8 can't hold is escaped, a number that isn't finite is null, and what else has no
    JSON form, which only a client of the user's can bring in, stands there as its text: no answer
    is lost over it.
    """
    try:
        return orjson.dumps(values, option=_OPTIONS)
    except TypeError:
        return (json.dumps(_plain(values), allow_nan=False) + "\n").encode()


def _plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 -- anything a client may bring
    if depth > MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def redact(content: bytes, secrets: Sequence[str]) -> bytes:
    """Leave secrets out of what is about to be written."""
    for secret in secrets:
        content = content.replace(secret.encode(), REDACTED.encode())
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunFolderError(f"{path} can't be written: {error.strerror or error}") from error


@dataclass(slots=True)
class LineFile:
    """A file that grows by whole lines and remembers which line belongs where."""

    path: Path
    secrets: Sequence[str] = ()
    _descriptor: int = field(init=False)
    _size: int = field(init=False)
    _ranks: array[int] = field(default_factory=lambda: array("q"))
    _offsets: array[int] = field(default_factory=lambda: array("q"))
    _lengths: array[int] = field(default_factory=lambda: array("L"))

    def __post_init__(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self.path, flags, 0o644)
        self._size = _whole_size(self._descriptor)
        os.ftruncate(self._descriptor, self._size)

    def append(self, rank: int, values: Mapping[str, Any]) -> None:
        """Put one line on disk, whole or not at all; raise OSError where there is no room."""
        line = redact(encode(values), self.secrets)
        self._write(line)
        self._note(rank, line)

    def append_all(self, ranked: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        """Put several lines on disk at once, all or none."""
        lines = [redact(encode(values), self.secrets) for _, values in ranked]
        self._write(b"".join(lines))
        for (rank, _), line in zip(ranked, lines, strict=True):
            self._note(rank, line)

    def _write(self, content: bytes) -> None:
        written = 0
        try:
            while written < len(content):
                written += os.write(self._descriptor, content[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise

    def _note(self, rank: int, line: bytes) -> None:
        self.adopt(rank, self._size, len(line))
        self._size += len(line)

    def adopt(self, rank: int, offset: int, length: int) -> None:
        """Take over a line that stands in the file already."""
        self._ranks.append(rank)
        self._offsets.append(offset)
        self._lengths.append(length)

    def seal(self) -> None:
        """Close the file with the last line of each rank, in their order."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1  # so that a client that comes too late can't write elsewhere
        spans = list(self._list_last())
        if _is_gapless(spans, self._size):
            return
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with self.path.open("rb") as source, draft.open("wb") as target:
            for offset, length in spans:
                source.seek(offset)
                target.write(source.read(length))
            target.flush()
            os.fsync(target.fileno())
        draft.replace(self.path)

    def _list_last(self) -> Iterator[tuple[int, int]]:
        """Yield offset and length of the last line of each rank, in their order."""
        order = sorted(range(len(self._ranks)), key=self._ranks.__getitem__)
        for number, after in zip_longest(order, order[1:]):
            if after is None or self._ranks[after] != self._ranks[number]:
                yield self._offsets[number], self._lengths[number]


def _is_gapless(spans: list[tuple[int, int]], size: int) -> bool:
    end = 0
    for offset, length in spans:
        if offset != end:
            return False
        end += length
    return end == size


def _whole_size(descriptor: int) -> int:
    """Measure a file without its torn last line."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65536)
        os.lseek(descriptor, start, os.SEEK_SET)
        newline = os.read(descriptor, end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


class RunLog:
    """The one writer of a run folder; what was logged in an earlier part can be adopted."""

    def __init__(
        self, folder: Path, *, with_metadata: bool = True, secrets: Sequence[str] = ()
    ) -> None:
        self._with_metadata = with_metadata
        self.secrets = tuple(secrets)
        for name in _DERIVED:
            (folder / f"{name}.jsonl").unlink(missing_ok=True)
        self._files = {name: LineFile(folder / f"{name}.jsonl", self.secrets) for name in _LOGS}
        self._folder = folder

    def holds_secret(self, text: str) -> bool:
        """Tell whether a secret stands in a text."""
        return any(secret in text for secret in self.secrets)

    def redact(self, text: str) -> str:
        """Leave out the secrets that a text holds."""
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        return text

    def append_dialogues(self, dialogues: Sequence[Dialogue]) -> None:
        """Log dialogues that are going to be held."""
        ranked = [(pack_rank(one.position, 0, 0), dialogue_record(one)) for one in dialogues]
        self._files["dialogues"].append_all(ranked)

    def append_request(
        self, position: int, prompt: Prompt, digest: str, attempts: Sequence[Attempt] = ()
    ) -> None:
        """Log what is about to be sent, after these attempts."""
        rank = pack_rank(position, prompt.repeat, prompt.turn)
        self._files["requests"].append(rank, request_record(prompt, digest, attempts))

    def append_response(self, position: int, turn: Turn, digest: str) -> None:
        """Log how a call ended."""
        rank = pack_rank(position, turn.prompt.repeat, turn.prompt.turn)
        values = response_record(turn, digest, with_metadata=self._with_metadata)
        self._files["responses"].append(rank, values)

    def adopt(self, position: int, prompt: Prompt, spans: tuple[Span, Span]) -> None:
        """Take over a call's request and response from an earlier part."""
        rank = pack_rank(position, prompt.repeat, prompt.turn)
        self._files["requests"].adopt(rank, *spans[0])
        self._files["responses"].adopt(rank, *spans[1])

    def append_scores(self, scores: Sequence[tuple[int, Record]]) -> None:
        """Log what some dialogues, by their positions, are worth."""
        ranked = [(pack_rank(position, values["repeat"], 0), values) for position, values in scores]
        self._files["scores"].append_all(ranked)

    def seal(self) -> None:
        """Close the logs, in dataset order; raise RunFolderError where that fails."""
        try:
            for file in self._files.values():
                file.seal()
        except OSError as error:
            where = f"the logs in {self._folder} can't be put into order"
            raise RunFolderError(f"{where}: {error.strerror or error}") from error
