"""The workspace holds what is needed and nothing that solves the task."""

from __future__ import annotations

import ast

import pytest

from grader.errors import GraderError
from grader.grade import Options, grade
from grader.places import UTILITIES
from grader.workspace import build_workspace, utility_files
from tests.test_layers import FLOORS

PACKAGE = UTILITIES.name


@pytest.fixture
def workspace(tmp_path):
    build_workspace(tmp_path / "ws")
    return tmp_path / "ws"


def imported(path):
    """Name the modules of the package that a file imports, those for types only left out."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
            tail = node.module.removeprefix(PACKAGE).strip(".")
            yield from [tail.split(".")[0]] if tail else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith(f"{PACKAGE}.")]
            yield from (name.split(".")[1] for name in names)


def test_the_utilities_are_closed_under_import():
    tops = {path.relative_to(UTILITIES).parts[0].removesuffix(".py") for path in utility_files()}
    for path in utility_files():
        if path.suffix == ".py":
            missing = set(imported(path)) - tops
            assert not missing, f"{path.name}: add {missing} to LOWER_FLOORS, or don't import it"


def test_the_utilities_are_the_lower_floors_and_manifest():
    height = next(number for number, floor in enumerate(FLOORS) if "manifest" in floor)
    lower = set().union(*FLOORS[:height]) | {"manifest", "__init__"}
    tops = {
        p.relative_to(UTILITIES).parts[0].removesuffix(".py")
        for p in utility_files()
        if p.suffix == ".py"
    }
    assert tops == lower


def test_it_holds_prompt_starter_sample_and_utilities(workspace):
    for name in (
        "prompt.md",
        "README.md",
        "experiment_profiler/cli.py",
        "experiments/configs/sample_experiment.yaml",
        "experiments/data/dialogues.json",
        f"{PACKAGE}/manifest.py",
        f"{PACKAGE}/metrics/__init__.py",
    ):
        assert (workspace / name).is_file(), name


def test_it_holds_nothing_else(workspace):
    tops = {path.name for path in workspace.iterdir()}
    assert tops == {"prompt.md", "README.md", "experiment_profiler", "experiments", PACKAGE}
    for upper in ("engine", "cli", "items", "plugin", "runner", "summary", "comparison"):
        assert not list((workspace / PACKAGE).glob(f"{upper}.py"))


def test_nothing_in_it_is_solved(workspace):
    verdict = grade(workspace, Options())
    assert (verdict.status, verdict.reward) == ("fail", 0.0)
    assert not any(verdict.checks.values())


def test_a_full_folder_is_left_alone(workspace):
    with pytest.raises(GraderError):
        build_workspace(workspace)
