"""Where the grader's own files lie."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import threading
from pathlib import Path

GRADER = Path(__file__).resolve().parent
REPOSITORY = GRADER.parent
FIXTURES = REPOSITORY / "fixtures"
UTILITIES = REPOSITORY / "src" / "pytest_experiment_profiler"
PROMPT = FIXTURES / "prompt.md"
STARTER = FIXTURES / "starter"
SAMPLE = FIXTURES / "sample"
REFERENCE = FIXTURES / "reference_submission"
REMOVAL_SECONDS = 2.0


def cache_folder() -> Path | None:
    """Give a folder for prepared copies that nobody else can write in, if there is one."""
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None
    folder = (Path("/var/cache") if os.getuid() == 0 else home / ".cache") / "xp-kit"
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return folder if private and not status.st_mode & 0o022 else None


def remove_tree(folder: Path) -> None:
    """Remove a folder, however deep its folders are nested, and where they were closed.

    What takes long, for somebody has filled it, goes on while the caller does other things.
    """
    clear = 'rm -rf -- "$0" || { chmod -R u+rwx -- "$0"; rm -rf -- "$0"; }'
    remover = threading.Thread(
        target=subprocess.run,
        args=(["/bin/sh", "-c", clear, folder],),
        kwargs={
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "check": False,
            "env": {"PATH": "/usr/bin:/bin"},
            "start_new_session": True,
        },
        daemon=True,
    )
    remover.start()
    remover.join(REMOVAL_SECONDS)


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
