"""Copy what was handed in: a folder that anybody may have written in, a clean copy out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import OUR_ERRNOS, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "experiment_profiler"
FILES_LIMIT = 500
FILE_LIMIT = 2 << 20
TOTAL_LIMIT = 8 << 20
ENTRIES_LIMIT = 20_000
DEPTH_LIMIT = 40
PATH_LIMIT = 2_000
SHOWN_LIMIT = 200
REFUSED_SUFFIXES = (".pyc", ".so", ".pth")


@dataclass(frozen=True, kw_only=True, slots=True)
class Staged:
    """The accepted copy: how many files, and the digest over paths and bytes."""

    files: int
    digest: str


def stage_submission(submission: Path, destination: Path) -> Staged:
    """Copy `experiment_profiler/` of a submission, or say why it is refused."""
    root = Path(os.path.abspath(submission))  # noqa: PTH100 -- resolve() would follow links
    with _reading("the submission"):
        handle = _open_folder(root)
    try:
        collector = _Collector()
        _enter(handle, PACKAGE, (PACKAGE,), collector)
    finally:
        os.close(handle)
    return _write(collector.files, destination)


def _open_folder(root: Path) -> int:
    """Open the submission's folder; the folders above it are the caller's own choice."""
    if not root.is_dir() or root.is_symlink():
        raise SubmissionError("the submission is not a folder, or a link to one")
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


@contextlib.contextmanager
def _reading(shown: str) -> Iterator[None]:
    """Take what can't be read for a fault of the submission, unless the machine is to blame."""
    try:
        yield
    except OSError as error:
        if error.errno in OUR_ERRNOS:
            raise
        raise SubmissionError(f"{shown}: can't be read ({error.strerror})") from error


def _show(path: tuple[str, ...]) -> str:
    """Give a path as text of one line, whatever the names in it hold."""
    return f"{'/'.join(path)!r:.{SHOWN_LIMIT}}"


class _Collector:
    """What was read so far, kept below the limits."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, ...], bytes] = {}
        self._bytes = 0
        self._entries = 0

    def count_entry(self) -> None:
        self._entries += 1
        if self._entries > ENTRIES_LIMIT:
            raise SubmissionError(f"more than {ENTRIES_LIMIT} entries")

    def add(self, path: tuple[str, ...], data: bytes) -> None:
        self.files[path] = data
        self._bytes += len(data)
        if len(self.files) > FILES_LIMIT:
            raise SubmissionError(f"more than {FILES_LIMIT} files")
        if self._bytes > TOTAL_LIMIT:
            raise SubmissionError(f"more than {TOTAL_LIMIT} bytes")


def _enter(parent: int, name: str, path: tuple[str, ...], collector: _Collector) -> None:
    shown = _show(path)
    if len(path) > DEPTH_LIMIT or len(os.fsencode("/".join(path))) > PATH_LIMIT:
        raise SubmissionError(f"{shown}: folders nested too deeply")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with _reading(shown):
        handle = os.open(name, flags, dir_fd=parent)
    try:
        with _reading(shown):
            entries = os.listdir(handle)  # noqa: PTH208 -- by handle, so nothing is swapped
        for entry in sorted(entries):
            if entry != "__pycache__":
                collector.count_entry()
                _take(handle, entry, (*path, entry), collector)
    finally:
        os.close(handle)


def _take(parent: int, name: str, path: tuple[str, ...], collector: _Collector) -> None:
    shown = _show(path)
    with _reading(shown):
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        _enter(parent, name, path, collector)
        return
    if not stat.S_ISREG(status.st_mode):
        raise SubmissionError(f"{shown}: neither a regular file nor a folder")
    if name.lower().endswith(REFUSED_SUFFIXES):
        raise SubmissionError(f"{shown}: compiled and path files are not accepted")
    if status.st_size > FILE_LIMIT:
        raise SubmissionError(f"{shown}: more than {FILE_LIMIT} bytes")
    collector.add(path, _read(parent, name, shown))


def _read(parent: int, name: str, shown: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _reading(shown):
        handle = os.open(name, flags, dir_fd=parent)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise SubmissionError(f"{shown}: not a regular file")
        if status.st_nlink != 1:
            raise SubmissionError(f"{shown}: a hard link")
        return file.read(FILE_LIMIT + 1)


def _write(files: dict[tuple[str, ...], bytes], destination: Path) -> Staged:
    digest = hashlib.sha256()
    for path in sorted(files):
        name = "/".join(path)
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(b"%d:%s%d:" % (len(encoded), encoded, len(files[path])))
        digest.update(files[path])
        target = destination.joinpath(*path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(files[path])
    return Staged(files=len(files), digest=digest.hexdigest())
