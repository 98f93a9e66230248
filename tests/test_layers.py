"""The floors of the house: imports go down only, and pytest stays at the top."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_experiment_profiler
from tests.builders import write_project

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "pytest_experiment_profiler"
SOURCE = Path(pytest_experiment_profiler.__file__).parent
PACKAGES = {"clients", "metrics", "reports", "commands"}
"""Modules in these may know each other."""

FLOORS = (
    {"experiment", "errors", "documents"},
    {"records", "validation"},
    {"dialogues", "runlog", "runfolder", "recall", "statistics", "pairing", "pricing", "hooks"}
    | {"provenance", "admission", "budget", "doubts", "models"},
    {"clients", "metrics", "reports", "pacing", "loop", "contrasts", "gates", "handover"},
    {"scored"},
    {"manifest", "runner", "caller", "delivery", "summary", "comparison", "selection"}
    | {"tally", "interrupts"},
    {"engine", "verdict", "plan", "spending"},
    {"launch", "properties", "board"},
    {"orders", "options", "finder", "distribution", "terminal", "judging", "challenge"},
    {"items", "commands"},
    {"cli", "plugin"},
    {"__main__"},
)
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}

HOMES = {
    "yaml": "documents",
    "jsonschema": "validation",
    "anthropic": "clients/anthropic",
    "httpx2": "clients/anthropic",
    "aiohttp": "clients/anthropic",
    "rich": "reports/",
    "genai_prices": "pricing",
    "orjson": "runlog",
    "pluggy": "hooks",
    "xdist": "distribution",
}
"""Where each third-party package may be imported; pytest has two places, see below."""
MODULES = sorted(SOURCE.rglob("*.py"))


def name_module(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").as_posix()


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def find_imports(node: ast.AST) -> Iterator[str]:
    """Yield the full name of all that a module imports at run time, in functions too."""
    for child in ast.iter_child_nodes(node):
        if is_for_types_only(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide the floor"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from find_imports(child)


def list_imports(path: Path) -> set[str]:
    return set(find_imports(ast.parse(path.read_text("utf-8"))))


def own_imports(path: Path) -> set[str]:
    """Name the top modules of this package that a module imports."""
    return {n.split(".")[1] for n in list_imports(path) if n.startswith(f"{PACKAGE}.")}


@pytest.mark.parametrize("path", MODULES, ids=name_module)
def test_imports_go_down_only(path):
    name = name_module(path).split("/")[0]
    if name == "__init__":
        assert own_imports(path) == set()
        return
    assert name in HEIGHT, "a new module needs a floor"
    not_below = {other for other in own_imports(path) if HEIGHT[other] >= HEIGHT[name]}
    assert not_below <= ({name} & PACKAGES)


def test_floors_name_no_module_twice():
    assert sum(map(len, FLOORS)) == len(HEIGHT)


def list_users(library: str) -> set[str]:
    return {
        name_module(path)
        for path in MODULES
        if library in {name.split(".")[0] for name in list_imports(path)}
    }


@pytest.mark.parametrize(("library", "home"), HOMES.items(), ids=list(HOMES))
def test_third_party_packages_have_one_home(library, home):
    users = list_users(library)
    assert users
    assert all(user.startswith(home) for user in users)


def test_pytest_is_known_at_the_top_only():
    assert list_users("pytest") == {"items", "judging", "options", "orders", "plugin"}


def test_nothing_else_is_imported():
    known = {*sys.stdlib_module_names, *HOMES, "pytest", PACKAGE}
    found = {name.split(".")[0] for path in MODULES for name in list_imports(path)}
    assert found <= known


BLOCKED = """
import sys
sys.modules["pytest"] = sys.modules["_pytest"] = None
{imports}
from {package} import cli
sys.exit(cli.main(["run", "--client=mock", "--config", sys.argv[1], "--output-dir", sys.argv[2]]))
"""


def test_all_below_pytest_runs_without_it(tmp_path):
    with_pytest = {"distribution", "items", "judging", "options", "orders", "plugin", "__main__"}
    names = [name_module(path).removesuffix("/__init__").replace("/", ".") for path in MODULES]
    imports = [f"import {PACKAGE}.{name}" for name in names if name not in with_pytest]
    script = BLOCKED.format(package=PACKAGE, imports="\n".join(imports))
    command = [sys.executable, "-W", "error", "-c", script]
    command += [str(write_project(tmp_path)), str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Completed experiment demo_run" in done.stdout
