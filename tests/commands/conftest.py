"""The shell command in an empty folder, and runs made with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_experiment_profiler import cli
from tests.builders import write_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def shell(monkeypatch, tmp_path, capsys) -> Callable[..., Said]:
    """Run the command in an empty folder; no traceback may come of it."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Said:
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def run_folder(shell, tmp_path) -> Callable[..., Path]:
    """Make a run below a folder of that name, without pytest; some of its answers are wrong."""

    def make(name: str, dialogues: Any = 3, wrong: int = 0, **keys: Any) -> Path:
        folder: Path = tmp_path / name
        count = dialogues if isinstance(dialogues, int) else len(dialogues)
        rows = (
            [
                {"dialogue_id": f"d{i}", "user": "Where?", "required_facts": ["Paris"]}
                for i in range(count)
            ]
            if isinstance(dialogues, int)
            else dialogues
        )
        answers = {
            row["dialogue_id"]: "It is Rome." if i < wrong else "It is Paris."
            for i, row in enumerate(rows)
        }
        manifest = write_project(folder, rows, keys.pop("answers", answers), **keys)
        shell("run", "--config", manifest, "--output-dir", folder / "runs")
        return folder / "runs" / "demo_run"

    return make


def read_summary(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    return values
