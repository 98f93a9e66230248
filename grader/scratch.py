"""The folder of one grade, and the removal of those whose grader was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from grader.places import remove_tree
from grader.watch import SHARED_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "x-"
USUAL_PLACES = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 -- mkdtemp makes a folder of its own
LOCK = ".held"
YOUNGEST_SECONDS = 60.0


class Scratch:
    """A folder with a random name for one grade, to be passed through but not listed.

    Its lock is held as long as this process lives: a folder whose lock is free has no owner.
    """

    def __init__(self) -> None:
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix=PREFIX, dir=_find_room())))
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
        self._lock = os.open(self.folder / LOCK, flags, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder.chmod(0o711)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        remove_tree(self.folder)
        os.close(self._lock)


def _find_room() -> Path:
    """Find a temporary folder that the box's user can pass to and may not write in."""
    usual = Path(os.path.realpath(tempfile.gettempdir()))
    for folder in (usual, *filter(Path.is_dir, USUAL_PLACES)):
        passing = os.getuid() != 0 or all(
            above.stat().st_mode & stat.S_IXOTH for above in (folder, *folder.parents)
        )
        if passing and not folder.is_relative_to(SHARED_MEMORY) and os.access(folder, os.W_OK):
            return folder
    return usual


def sweep() -> None:
    """Remove the scratch folders of this user that nobody holds any more."""
    for folder in _candidates(_find_room()):
        with contextlib.suppress(OSError), _taken(folder / LOCK):
            remove_tree(folder)


def _candidates(parent: Path) -> Iterator[Path]:
    """List folders that look like ours and are old enough to have their lock."""
    with os.scandir(parent) as entries:
        for entry in entries:
            if not entry.name.startswith(PREFIX):
                continue
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
                if own and time.time() - status.st_mtime > YOUNGEST_SECONDS:
                    yield Path(entry.path)


@contextlib.contextmanager
def _taken(path: Path) -> Iterator[None]:
    """Hold the lock of a folder, or fail with `OSError`: somebody holds it, or there is none."""
    lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(lock).st_uid != os.getuid():
            raise PermissionError(path)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
