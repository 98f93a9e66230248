"""Build what an agent gets: prompt, starter, sample, and the utilities that solve nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from grader.errors import GraderError
from grader.places import PROMPT, SAMPLE, STARTER, UTILITIES

if TYPE_CHECKING:
    from pathlib import Path

LOWER_FLOORS = (
    "__init__",
    "errors",
    "experiment",
    "documents",
    "validation",
    "models",
    "records",
    "recall",
    "doubts",
    "admission",
    "budget",
    "handover",
    "loop",
    "contrasts",
    "gates",
    "scored",
    "dialogues",
    "runlog",
    "runfolder",
    "statistics",
    "pairing",
    "pricing",
    "hooks",
    "provenance",
    "clients",
    "metrics",
    "reports",
    "pacing",
    "manifest",
)
DATA = ("py.typed", "schemas", "models.json")


def utility_files() -> list[Path]:
    """List the files of the library's lower floors, data included."""
    found: list[Path] = []
    for name in (*LOWER_FLOORS, *DATA):
        module = UTILITIES / f"{name}.py"
        path = module if module.is_file() else UTILITIES / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in files if _is_kept(file)]
    return found


def _is_kept(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


def build_workspace(folder: Path) -> None:
    """Write the workspace of an agent to a new or empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise GraderError(f"{folder} must be empty")
    for source in (STARTER, SAMPLE):
        for file in sorted(source.rglob("*")):
            if _is_kept(file):
                _copy(file, folder / file.relative_to(source))
    _copy(PROMPT, folder / PROMPT.name)
    for file in utility_files():
        _copy(file, folder / UTILITIES.name / file.relative_to(UTILITIES))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
