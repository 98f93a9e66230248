"""A run folder: lines appended as calls end, put into dataset order at the end, read back."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from array import array
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.experiment import Attempt, Dialogue, Prompt, Transcript, Turn
from pytest_experiment_profiler.records import (
    Record,
    Span,
    dialogue_record,
    parse_dialogue,
    parse_turn,
    request_record,
    response_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

Parsed = TypeVar("Parsed")

REDACTED = "[redacted]"

MAX_DEPTH = 30
"""How deep metadata may nest; what is deeper is left out."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_DERIVED = ("dialogues", "scores")
_LOGS = (*_DERIVED, "requests", "responses")
FILES = ("run.json", *(f"{name}.jsonl" for name in _LOGS), "summary.json")


class Rank(NamedTuple):
    """Where a line belongs: dialogue's position, repeat, turn."""

    position: int
    repeat: int
    turn: int

    @property
    def packed(self) -> int:
        """Give the rank as one number of 64 bits, in the same order."""
        return self.position << 32 | self.repeat << 16 | self.turn


def encode(values: Mapping[str, Any]) -> bytes:
    """Write one JSON line as UTF-8.

    Text that UTF-8 can't hold is escaped, and what has no JSON form, which only a client of the
    user's can bring in, stands there as its text: no answer is lost over it.
    """
    try:
        return (_ENCODER.encode(values) + "\n").encode()
    except (TypeError, ValueError, RecursionError):
        return (json.dumps(_plain(values), allow_nan=False) + "\n").encode()


def _plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 -- anything a client may bring
    if depth > MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
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

    def append(self, rank: Rank, values: Mapping[str, Any]) -> None:
        """Put one line on disk, whole or not at all; raise OSError where there is no room."""
        line = redact(encode(values), self.secrets)
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self.adopt(rank, self._size, len(line))
        self._size += len(line)

    def adopt(self, rank: Rank, offset: int, length: int) -> None:
        """Take over a line that stands in the file already."""
        self._ranks.append(rank.packed)
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

    def append_dialogue(self, dialogue: Dialogue) -> None:
        """Log a dialogue that is going to be held."""
        rank = Rank(dialogue.position, 0, 0)
        self._files["dialogues"].append(rank, dialogue_record(dialogue))

    def append_request(
        self, position: int, prompt: Prompt, digest: str, attempts: Sequence[Attempt] = ()
    ) -> None:
        """Log what is about to be sent, after these attempts."""
        rank = Rank(position, prompt.repeat, prompt.turn)
        self._files["requests"].append(rank, request_record(prompt, digest, attempts))

    def append_response(self, position: int, turn: Turn, digest: str) -> None:
        """Log how a call ended."""
        rank = Rank(position, turn.prompt.repeat, turn.prompt.turn)
        values = response_record(turn, digest, with_metadata=self._with_metadata)
        self._files["responses"].append(rank, values)

    def adopt(self, position: int, prompt: Prompt, spans: tuple[Span, Span]) -> None:
        """Take over a call's request and response from an earlier part."""
        rank = Rank(position, prompt.repeat, prompt.turn)
        self._files["requests"].adopt(rank, *spans[0])
        self._files["responses"].adopt(rank, *spans[1])

    def append_score(self, position: int, values: Record) -> None:
        """Log what a dialogue is worth."""
        self._files["scores"].append(Rank(position, values["repeat"], 0), values)

    def seal(self) -> None:
        """Close the logs, in dataset order; raise RunFolderError where that fails."""
        try:
            for file in self._files.values():
                file.seal()
        except OSError as error:
            where = f"the logs in {self._folder} can't be put into order"
            raise RunFolderError(f"{where}: {error.strerror or error}") from error


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep other processes off a run folder; raise RunFolderError where one is at work there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        if not _try_lock(descriptor):
            raise RunFolderError(
                f"{folder} is in use by another run; wait for it, or choose another folder with "
                "--experiment-output=DIR (shell: --output-dir)"
            )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl  # noqa: PLC0415 -- not on Windows
    except ImportError:
        import msvcrt  # noqa: PLC0415 -- Windows only

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def open_folder(folder: Path, *, partial: bool = False) -> Path:
    """Make room for a new run and return its folder.

    With `partial` it is `partial/<start>/` inside. Otherwise an old run moves to
    `history/<start>/`, or is deleted where its answers came from the mock.
    Raise RunFolderError where that can't be done.
    """
    try:
        if partial:
            return _new_folder(folder / "partial", _stamp(time.time()))
        folder.mkdir(parents=True, exist_ok=True)
        old = [folder / name for name in FILES if (folder / name).exists()]
        if old and _is_costly(folder):
            kept = _new_folder(folder / "history", _stamp(_start(folder)))
            for path in reversed(old):
                path.rename(kept / path.name)
        else:
            for path in reversed(old):
                path.unlink()
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder


def keep_copy(folder: Path) -> None:
    """Copy a run's files to `history/<start>/`, because some of its answers won't be taken over."""
    try:
        kept = _new_folder(folder / "history", _stamp(_start(folder)))
        for name in FILES:
            if (folder / name).exists():
                shutil.copy2(folder / name, kept / name)
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> RunFolderError:
    return RunFolderError(
        f"{folder} can't be used as a run folder: {error.strerror or error}; "
        "choose another with --experiment-output=DIR (shell: --output-dir)"
    )


def read_run(folder: Path) -> Record:
    """Read run.json of a run folder; raise RunFolderError where there is none."""
    try:
        values: Record = json.loads((folder / "run.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise RunFolderError(f"{folder} is no run folder: it holds no run.json") from error
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{folder / 'run.json'} can't be read: {error}") from error
    if not isinstance(values, dict):
        raise RunFolderError(f"{folder / 'run.json'} doesn't describe a run")
    return values


def find_unfinished(folder: Path, selected: Iterable[str]) -> Path | None:
    """Find the newest run of just these dialogues in `partial/` that lacks answers."""
    ids = sorted(selected)
    for part in sorted((folder / "partial").glob("*"), reverse=True):
        try:
            run = read_run(part)
        except RunFolderError:
            continue
        if run.get("selection", {}).get("ids") == ids and not _is_done(part):
            return part
    return None


def _is_done(folder: Path) -> bool:
    try:
        counts = json.loads((folder / "summary.json").read_text("utf-8"))["counts"]
    except (OSError, ValueError, KeyError):
        return False
    return not (counts["errors"] or counts["not_run"])


def read_records(path: Path) -> Iterator[Record]:
    """Yield the whole lines of a log; a torn last line is passed over."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield _read_record(line, f"{path}:{number}")
    except FileNotFoundError as error:
        raise RunFolderError(f"{path.parent} is no whole run folder: no {path.name}") from error
    except OSError as error:
        raise RunFolderError(f"{path} can't be read: {error.strerror or error}") from error


def _read_record(line: bytes, place: str) -> Record:
    try:
        values: Record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{place}: not a JSON line: {error}") from error
    if not isinstance(values, dict):
        raise RunFolderError(f"{place}: not what a run writes (no object)")
    return values


@contextmanager
def tell_foreign(place: str) -> Iterator[None]:
    """Raise RunFolderError where what stands at a place was written by no run."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise RunFolderError(f"{place}: not what a run writes ({what})") from error


def parse_records(path: Path, parse: Callable[[Record], Parsed]) -> Iterator[Parsed]:
    """Yield what the whole lines of a log say; raise RunFolderError for one that says nothing."""
    for number, record in enumerate(read_records(path), start=1):
        with tell_foreign(f"{path}:{number}"):
            parsed = parse(record)
        yield parsed


def read_transcripts(folder: Path, *, repeats: int) -> Iterator[list[Transcript]]:
    """Yield each dialogue's transcripts (one a repeat) in dataset order, from the logs alone."""
    requests = _by_call(folder / "requests.jsonl")
    responses = _by_call(folder / "responses.jsonl")
    for dialogue in parse_records(folder / "dialogues.jsonl", parse_dialogue):
        with tell_foreign(f"{folder}, calls of dialogue {dialogue.dialogue_id!r}"):
            held = [_transcript(dialogue, repeat, requests, responses) for repeat in range(repeats)]
        yield held


_Calls: TypeAlias = "dict[tuple[str, int, int], Record]"


def _by_call(path: Path) -> _Calls:
    return dict(parse_records(path, lambda r: ((r["dialogue_id"], r["repeat"], r["turn"]), r)))


def _transcript(dialogue: Dialogue, repeat: int, requests: _Calls, responses: _Calls) -> Transcript:
    turns: list[Turn] = []
    for number in range(len(dialogue.turns)):
        key = (dialogue.dialogue_id, repeat, number)
        if key not in responses or key not in requests:
            break
        turns.append(parse_turn(requests[key], responses[key]))
    ended = bool(turns) and (turns[-1].error is not None or turns[-1].refused)
    missing = len(turns) < len(dialogue.turns) and not ended
    reason = "no answer stands in the logs" if missing else None
    return Transcript(dialogue=dialogue, repeat=repeat, turns=tuple(turns), not_run=reason)


def _is_costly(folder: Path) -> bool:
    """Tell whether a folder's answers may have come from a real model."""
    try:
        return bool(read_run(folder).get("client") != "mock")
    except RunFolderError:
        return (folder / "responses.jsonl").exists()


def _start(folder: Path) -> float:
    return (
        (folder / "responses.jsonl").stat().st_mtime
        if (folder / "responses.jsonl").exists()
        else time.time()
    )


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def _new_folder(parent: Path, name: str) -> Path:
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError
