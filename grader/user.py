"""The user that a box runs as, and what is left of it when a grade is over."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.errors import GraderError
from grader.places import cache_folder, remove_tree
from grader.watch import SHARED_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_UID, UIDS = 61_300, 3_500


class BoxUser:
    """The user that the box runs as: for root a fresh one each grade, else the grader's own."""

    def __init__(self) -> None:
        self._lock: tuple[int, Path] | None = None
        self.dropped = os.getuid() == 0
        self.uid = self._take() if self.dropped else os.getuid()
        self.options: dict[str, Any] = (
            {"user": self.uid, "group": self.uid, "extra_groups": []} if self.dropped else {}
        )

    def _take(self) -> int:
        """Reserve a number that no other grade and no process on this machine has now."""
        folder = cache_folder()
        for path in folder.glob("uid-*") if folder else ():
            if self._reserve(path):  # its grader was killed
                self.uid = int(path.name.removeprefix("uid-"))
                self.release()
        busy = {uid for _process, uid in _processes()}
        for _ in range(100):
            uid = FIRST_UID + secrets.randbelow(UIDS)
            if uid not in busy and (folder is None or self._reserve(folder / f"uid-{uid}")):
                return uid
        raise GraderError("too many grades at once on this machine")

    def _reserve(self, path: Path) -> bool:
        """Lock a file that is still in its place once it is locked."""
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino == path.stat().st_ino:
                self._lock = lock, path
                return True
        except OSError:
            pass
        os.close(lock)
        return False

    def give(self, folder: Path) -> Path:
        """Make a folder that the box may write in."""
        folder.mkdir(mode=0o700, parents=True)
        if self.dropped:
            os.chown(folder, self.uid, self.uid)
        return folder

    def release(self) -> None:
        """Kill what still runs under a number of its own, remove what it left, free the number."""
        if self.dropped:
            while _kill_all_of(self.uid):
                time.sleep(0.005)
            _remove_shared_memory(self.uid)
        if self._lock is not None:
            lock, path = self._lock
            path.unlink(missing_ok=True)
            os.close(lock)
            self._lock = None


def _processes() -> Iterator[tuple[Path, int]]:
    """List all processes with the users that they run as."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            if entry.name.isdigit():
                yield entry, entry.stat().st_uid


def _kill_all_of(uid: int) -> int:
    killed = 0
    for process, owner in _processes():
        if owner == uid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
                killed += _is_alive(process)
    return killed


def _is_alive(process: Path) -> bool:
    with contextlib.suppress(OSError):
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


def _remove_shared_memory(uid: int) -> None:
    for entry in SHARED_MEMORY.iterdir() if SHARED_MEMORY.is_dir() else ():
        with contextlib.suppress(OSError):
            if entry.lstat().st_uid == uid:
                remove_tree(entry) if stat.S_ISDIR(entry.lstat().st_mode) else entry.unlink()
