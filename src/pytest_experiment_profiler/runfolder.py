"""A run folder: room made for a new run, one run at a time, an old one read back."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.experiment import Dialogue, Transcript, Turn
from pytest_experiment_profiler.records import Record, parse_dialogue, parse_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

Parsed = TypeVar("Parsed")

_LOGS = ("dialogues", "scores", "requests", "responses")
_OF_A_RUN = {"experiment": dict, "selection": dict, "provenance": dict, "client": str}
_OF_A_LINE = {"dialogue_id": str, "repeat": int, "turn": int}
FILES = ("run.json", *(f"{name}.jsonl" for name in _LOGS), "summary.json")


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


def list_copies(folder: Path, parts: Sequence[object]) -> list[Path]:
    """List the copies that were kept of a run's earlier parts, which started then."""
    kept = sorted((folder / "history").glob("*/run.json"))
    return [path.parent for path in kept if read_run(path.parent).get("started_at") in parts]


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
    if not isinstance(values, dict) or not _fits(values, _OF_A_RUN):
        raise RunFolderError(f"{folder / 'run.json'} doesn't describe a run")
    return values


def _fits(values: Record, kinds: Mapping[str, type]) -> bool:
    """Tell whether what a record has of these keys is of their kinds."""
    return all(isinstance(values[key], kind) for key, kind in kinds.items() if key in values)


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
    if not _fits(values, _OF_A_LINE):
        raise RunFolderError(f"{place}: not what a run writes (of which dialogue?)")
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
