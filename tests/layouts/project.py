"""A project whose client counts its calls, and ways to look at what a session left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import read_lines, write_project

if TYPE_CHECKING:
    from pathlib import Path

INI = """
[pytest]
strict = true
filterwarnings = error
testpaths = tests
experiment_paths = experiments
"""
CLIENT = '''
import os
from pathlib import Path

import pytest
from pytest_experiment_profiler import ClientError, Reply

HERE = Path(__file__).parent


class CountingClient:
    """Answers with the dialogue's id; appends each call to a file; fails those in another."""

    async def complete(self, prompt):
        with (HERE / "calls.txt").open("a", encoding="utf-8") as file:
            file.write(prompt.dialogue_id + "\\n")
        deadly = HERE / "deadly.txt"
        if deadly.exists() and prompt.dialogue_id in deadly.read_text("utf-8").split():
            deadly.unlink()
            os._exit(1)
        if prompt.dialogue_id in (HERE / "failing.txt").read_text("utf-8").split():
            raise ClientError("the model is out")
        usage = {"input_tokens": 7, "output_tokens": 5}
        return Reply(text=f"It is fact{prompt.dialogue_id[1:]}.", usage=usage)


@pytest.fixture(scope="module")
def model_client():
    return CountingClient()
'''
MANIFEST = "experiments/demo_experiment.yaml"
DEMO = f"{MANIFEST}::demo_run"


class Project:
    """A project of one manifest, `demo_run`, of `d0`, `d1` ...; tells what became of it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        pytester.makeini(INI)
        (self.path / "experiments" / "conftest.py").parent.mkdir()
        (self.path / "experiments" / "conftest.py").write_text(CLIENT, "utf-8")
        (self.path / "tests").mkdir()
        (self.path / "tests" / "test_plain.py").write_text("def test_it(): pass\n", "utf-8")
        self.fail()

    @property
    def run_folder(self) -> Path:
        return self.path / "runs" / "demo_run"

    def write(self, dialogues: Any = 6, *, name: str = "demo", **keys: Any) -> Path:
        """Write a manifest with its dataset, in place of an earlier one."""
        return write_project(self.path / "experiments", dialogues, {}, name=name, **keys)

    def fail(self, *names: str) -> None:
        """Let the calls for these dialogues fail, and no others."""
        (self.path / "experiments" / "failing.txt").write_text(" ".join(names), "utf-8")

    def kill(self, *names: str) -> None:
        """Let the first call for one of these dialogues end its process."""
        (self.path / "experiments" / "deadly.txt").write_text(" ".join(names), "utf-8")

    def run(self, *words: str) -> pytest.RunResult:
        return self.pytester.runpytest(*words)

    def spawn(self, *words: str) -> pytest.RunResult:
        """Run in a process of its own, with no plugins but xdist and ours, which saves seconds."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            plugins = ("-pxdist.plugin", "-ppytest_experiment_profiler.plugin")
            return self.pytester.runpytest_subprocess(*plugins, *words)

    def take_calls(self) -> list[str]:
        """List the dialogues that were asked since the last time, sorted."""
        path = self.path / "experiments" / "calls.txt"
        calls = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(calls)

    def collect(self, *words: str) -> list[str]:
        """List the node ids that are collected."""
        result = self.run("--collect-only", "-q", *words)
        assert result.ret == pytest.ExitCode.OK, result.outlines
        return [line for line in result.outlines if "::" in line]

    def summary(self, folder: Path | None = None) -> dict[str, Any]:
        text = ((folder or self.run_folder) / "summary.json").read_text("utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def partial_folders(self) -> list[Path]:
        return sorted((self.run_folder / "partial").glob("*"))

    def partial_summary(self) -> dict[str, Any]:
        """Give the summary of the one partial run."""
        [folder] = self.partial_folders()
        return self.summary(folder)

    def logged(self, name: str = "responses", folder: Path | None = None) -> list[str]:
        """List the dialogues of a log, in its order."""
        lines = read_lines((folder or self.run_folder) / f"{name}.jsonl")
        return [line["dialogue_id"] for line in lines]


def names(count: int) -> list[str]:
    """Name the dialogues of a project."""
    return [f"d{number}" for number in range(count)]
