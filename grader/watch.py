"""How much a command has written, wherever it may: past its limits it floods the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.user import BoxUser

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- multiprocessing needs it
FOLDER_BYTES = 64 << 20
SHARED_BYTES = 256 << 20
ENTRIES = 5_000
SOCKETS = 1_000
HIDING = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}


class Watch:
    """Look how much a command has written."""

    def __init__(self, folders: Sequence[Path], user: BoxUser, launcher: int) -> None:
        self._folders = folders
        self._user = user
        self._launcher = launcher
        self.flooded = False

    def look(self) -> None:
        """Add up files and their sizes, those too that were removed and are still open."""
        budget = [FOLDER_BYTES, ENTRIES]
        for folder in self._folders:
            _spend(folder, budget, None)
        if self._user.dropped:
            _spend(SHARED_MEMORY, budget, self._user.uid)
        held, sockets = _held(self._launcher)
        self.flooded |= min(budget) < 0 or held > SHARED_BYTES or sockets > SOCKETS


@contextlib.contextmanager
def _hidden(budget: list[int]) -> Iterator[None]:
    """Take a folder that was closed, or is too deep, to hide what is in it for a full one."""
    try:
        yield
    except OSError as error:  # or else the program is at work in it
        if error.errno in HIDING:
            budget[0] = -1


def _spend(folder: Path, budget: list[int], uid: int | None) -> None:
    """Take what lies in a folder off the budget of bytes and entries, until that is used up."""
    folders = [os.fspath(folder)]
    while folders and min(budget) >= 0:
        with _hidden(budget), os.scandir(folders.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if uid is not None and status.st_uid != uid:
                    continue
                budget[1] -= 1
                budget[0] -= status.st_blocks * 512
                if stat.S_ISDIR(status.st_mode):
                    folders.append(entry.path)
                if min(budget) < 0:
                    return


def _held(launcher: int) -> tuple[int, int]:
    """Add up the files without a name, and count the sockets, that all children hold open."""
    sizes: dict[tuple[int, int], int] = {}
    sockets: set[int] = set()
    processes = [launcher]
    while processes:
        process = processes.pop()
        for task in _names(f"/proc/{process}/task"):
            with contextlib.suppress(OSError), open(f"{task}/children", "rb") as file:  # noqa: PTH123
                processes += map(int, file.read().split())
        for handle in _names(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):
                status = os.stat(handle)  # noqa: PTH116
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    sizes[status.st_dev, status.st_ino] = status.st_blocks * 512
                elif stat.S_ISSOCK(status.st_mode):
                    sockets.add(status.st_ino)
    return sum(sizes.values()), len(sockets)


def _names(folder: str) -> list[str]:
    """List what is in a folder of a process, nothing if that has ended."""
    with contextlib.suppress(OSError):
        return [f"{folder}/{name}" for name in os.listdir(folder)]  # noqa: PTH208
    return []
