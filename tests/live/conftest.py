"""A run against the service: in this process, or in one that can be stopped and killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler import cli
from tests.builders import read_lines, write_project
from tests.live.service import KEY, serve

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and the run folder that it left."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.folder / "summary.json").read_text("utf-8"))
        return values

    def lines(self, name: str) -> list[dict[str, Any]]:
        return read_lines(self.folder / f"{name}.jsonl")


@pytest.fixture
def project(tmp_path):
    """Write a manifest without mock answers, into a folder that is the current one's child."""

    def write(dialogues=20, folder="project", **keys):
        return write_project(tmp_path / folder, dialogues, {}, **keys)

    return write


@pytest.fixture(scope="session", autouse=True)
def _loaded():
    """Import what a run imports late, so that sessions inside a session share it."""
    for name in ("anthropic", "genai_prices", "yaml", "rich.progress"):
        import_module(name)
    for name in ("items", "commands.run", "clients.anthropic", "clients.mock", "clients.replay"):
        import_module(f"pytest_experiment_profiler.{name}")


@pytest.fixture
def service(monkeypatch):
    """Serve with these settings, and point the client there."""
    with ExitStack() as stack:

        def start(**settings):
            found = stack.enter_context(serve(**settings))
            monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
            monkeypatch.setenv("ANTHROPIC_BASE_URL", found.url)
            return found

        yield start


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    """Run a manifest by the shell's command, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(manifest, *words, output="runs"):
        code = cli.main(["run", "--config", str(manifest), "--output-dir", output, *words])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err, tmp_path / output / "demo_run")

    return run


@pytest.fixture
def start(tmp_path):
    """Start a command in a process of its own; what still runs at the end is killed."""
    started = []

    def start_one(*words, **more):
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, words)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **more},
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()
