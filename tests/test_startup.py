"""The plugin in sessions that hold no experiment."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from tests.builders import write_project

OURS = "experiment-profiler"
HEAVY = {"anthropic", "asyncio", "genai_prices", "httpx2", "jsonschema", "rich", "yaml"}
CONFTEST = """
import atexit, pathlib, sys

here = pathlib.Path(__file__).parent
atexit.register(lambda: (here / "modules.txt").write_text("\\n".join(sys.modules), "utf-8"))
"""


def list_modules(folder: Path, *, plugins: set[str]) -> set[str]:
    """Run an empty test with those plugins alone; return all that was imported by the end."""
    blocked = entry_points(group="pytest11").names - plugins
    command = [sys.executable, "-m", "pytest", *(f"-pno:{name}" for name in blocked)]
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "test_empty.py").write_text("def test_empty():\n    pass\n", "utf-8")
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return set((folder / "modules.txt").read_text("utf-8").split())


def test_a_session_without_experiments_imports_next_to_nothing(tmp_path):
    bare = list_modules(tmp_path, plugins=set())
    ours = list_modules(tmp_path, plugins={OURS}) - bare

    assert "pytest_experiment_profiler.plugin" in ours
    assert not HEAVY & ours
    packages = {name.partition(".")[0] for name in ours} - sys.stdlib_module_names
    assert packages == {"pytest_experiment_profiler"}


LOADERS = """
import pathlib, sys, pytest

pytest.register_assert_rewrite("pytest_experiment_profiler")  # as pytest does where it's installed

def pytest_sessionfinish():
    loader = type(sys.modules["pytest_experiment_profiler.engine"].__loader__)
    pathlib.Path("loader.txt").write_text(loader.__name__, "utf-8")
"""


def test_pytest_rewrites_no_assertions_of_the_plugin(tmp_path):
    manifest = write_project(tmp_path)
    (tmp_path / "conftest.py").write_text(LOADERS, "utf-8")
    command = [sys.executable, "-m", "pytest", f"--experiment={manifest}"]
    command.append("--experiment-client=mock")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    assert (tmp_path / "loader.txt").read_text("utf-8") == "SourceFileLoader"
