"""A folder that a session's controller shares with its workers: their runs, and when to stop."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any


class Board:
    """What the controller of pytest-xdist's workers knows without their reports.

    An interrupted controller reads no more of them, and a signal may reach it alone: then its
    workers would go on for five seconds.
    """

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="experiments-")
        self.path = self._folder.name
        self.remove = self._folder.cleanup

    def list_runs(self) -> list[str]:
        """List the run folders that the workers named."""
        return sorted(path.read_text("utf-8") for path in Path(self.path).glob("*.run"))

    def pytest_keyboard_interrupt(self) -> None:
        """Tell the workers to stop."""
        _stop(self.path).touch()


def name_run(config: Any, folder: Path) -> None:  # noqa: ANN401 -- pytest's
    """Tell the controller of a run, if there is one."""
    path = _find_board(config)
    if path is not None and path.is_dir():
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=path, suffix=".run", delete=False
        ) as file:
            file.write(str(folder))


def is_stopped(config: Any) -> bool:  # noqa: ANN401 -- pytest's
    """Tell whether the controller was interrupted."""
    path = _find_board(config)
    return path is not None and _stop(path).exists()


def _find_board(config: Any) -> Path | None:  # noqa: ANN401 -- pytest's
    path = getattr(config, "workerinput", {}).get("experiment_board")
    return None if path is None else Path(path)


def _stop(path: Path | str) -> Path:
    return Path(path, "stop")
