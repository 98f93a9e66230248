"""What became of a run folder, and runs that were cut short without a process to kill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.builders import read_lines

if TYPE_CHECKING:
    from pathlib import Path


def find_run(manifest: Path) -> Path:
    """Name the run folder of a manifest in a folder of its own below the current one."""
    return manifest.parent.parent / "runs" / "demo_run"


SHELL = ("pytest_experiment_profiler", "run", "--config")


def list_calls(folder: Path, name: str) -> set[str]:
    """Name the calls in a log, as the service does, leaving out a torn last line."""
    path = folder / f"{name}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {line["dialogue_id"] for line in whole}


def cut_short(folder: Path, answers: int, torn: bytes = b"") -> None:
    """Leave a folder as a run does that was killed after so many answers."""
    for name in ("scores.jsonl", "summary.json"):
        (folder / name).unlink()
    path = folder / "responses.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:answers]) + torn)


def count_attempts(folder: Path) -> tuple[int, int]:
    """Count the attempts on record: all, and those that were lost."""
    attempts = [a for line in read_lines(folder / "responses.jsonl") for a in line["attempts"]]
    return len(attempts), sum("lost" in attempt for attempt in attempts)


def edit_dataset(manifest: Path, number: int, **changes: object) -> None:
    """Change a dialogue of a dataset."""
    path = manifest.parent / "demo_data" / "dialogues.json"
    rows = json.loads(path.read_text("utf-8"))
    rows[number] |= changes
    path.write_text(json.dumps(rows), "utf-8")
