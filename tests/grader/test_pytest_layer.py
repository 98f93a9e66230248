"""`pytest grader/` gives the verdict, whatever lies about."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader.checks import CHECK_IDS
from grader.places import GRADER, REPOSITORY, STARTER
from tests.grader.builders import RIGHT

PYTEST = [sys.executable, "-m", "pytest"]


def run(*words, cwd, **environment):
    return start(*PYTEST, str(GRADER), *words, cwd=cwd, **environment)


def start(*command, cwd, **environment):
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def verdict_of(output):
    line = next(line for line in output.splitlines() if line.startswith('{"checks"'))
    return json.loads(line)


def test_without_options_it_says_what_the_starter_lacks():
    code, output = run(cwd=REPOSITORY)
    assert code == 1, output
    assert f"{len(CHECK_IDS)} failed" in output
    assert "missing [R3]" in output
    assert verdict_of(output)["reward"] == 0.0


def test_a_right_program_passes_every_item(tmp_path):
    path = tmp_path / "verdict.json"
    code, output = run("--submission", str(RIGHT), "--seed=5", f"--json={path}", cwd=tmp_path)
    assert code == 0, output
    assert f"{len(CHECK_IDS)} passed" in output
    assert verdict_of(output) == json.loads(path.read_text())


def test_no_verdict_is_code_2(tmp_path):
    code, output = run("--box-python=/nowhere", f"--submission={RIGHT}", cwd=tmp_path)
    assert code == 2, output
    assert verdict_of(output)["reward"] is None


def test_it_is_run_alone(tmp_path):
    (tmp_path / "test_other.py").write_text("def test_it(): pass")
    code, output = run(str(tmp_path / "test_other.py"), cwd=tmp_path)
    assert code == 4, output


CONFTEST = """
import os, pytest
def pytest_configure(config): os._exit(0)
def pytest_sessionfinish(session): session.exitstatus = 0
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    return pytest.TestReport(item.nodeid, item.location, {}, "passed", None, call.when)
"""
HOSTILE = {
    "conftest.py": CONFTEST,
    "experiment_profiler/conftest.py": CONFTEST,
    "tests/conftest.py": CONFTEST,
    "pytest.ini": "[pytest]\naddopts = -k nothing\npythonpath = .\n",
    "tox.ini": "[pytest]\naddopts = --collect-only\n",
    "setup.cfg": "[tool:pytest]\naddopts = -p evil\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p evil'\n",
    "evil.py": "import os; os._exit(0)",
    "evil.pth": "import os; os._exit(0)",
    "sitecustomize.py": "import os; os._exit(0)",
    "usercustomize.py": "import os; os._exit(0)",
    "experiment_profiler/__pycache__/cli.cpython-311.pyc": "stale",
    "verdict.json": '{"status": "pass", "reward": 1.0}',
    "reward.json": '{"reward": 1.0}',
}


@pytest.fixture
def tree(tmp_path):
    """Lay hostile files over the starter."""
    shutil.copytree(STARTER, tmp_path / "tree", dirs_exist_ok=True)
    for name, text in HOSTILE.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


@pytest.mark.parametrize("words", [("--submission", "."), ("--submission=.",)])
def test_a_hostile_tree_changes_nothing(tree, words):
    code, output = run(*words, cwd=tree)
    assert code == 1, output
    found = verdict_of(output)
    assert (found["status"], any(found["checks"].values())) == ("fail", False)


INI = "[pytest]\naddopts = {}\npythonpath = .\n"
OPTIONS = ("--noconftest", "--noconftest --version", "-k nothing", "-p no:python")
CALLS = [
    *itertools.product(["--collect-only"], [True, False], [True, False]),
    *((options, True, True) for options in OPTIONS),
]


def test_a_file_of_the_grader_is_the_grader(tree):
    program = Path(sys.executable).with_name("pytest")
    (tree / "conftest.py").write_text("import os; os._exit(0)")
    words = ("--submission", str(tree), str(GRADER / "test_submission.py"))
    code, output = start(program, *words, cwd=tree)
    assert code == 1, output
    assert verdict_of(output)["status"] == "fail"


@pytest.mark.parametrize(("options", "inside", "tree_first"), CALLS)
def test_the_order_of_arguments_changes_nothing(tree, tmp_path, options, inside, tree_first):
    (tree / "pytest.ini").write_text(INI.format(options))
    (tree / "conftest.py").write_text("import os; os._exit(0)")
    program = Path(sys.executable).with_name("pytest")
    words = ["--submission", str(tree)]
    words = [*words, str(GRADER)] if tree_first else [str(GRADER), *words]
    code, output = start(program, *words, cwd=tree if inside else tmp_path)
    assert code == 1, output
    assert verdict_of(output)["status"] == "fail"


def test_a_hostile_environment_changes_nothing(tree, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("pytest", "python", "python3"):
        (programs / name).write_text("#!/bin/sh\nexit 0\n")
        (programs / name).chmod(0o755)
    code, output = run(
        f"--submission={tree}",
        cwd=tmp_path,
        PATH=f"{programs}:/usr/bin:/bin",
        PYTEST_ADDOPTS="--deselect grader -x",
        CI="1",
    )
    assert code == 1, output
    assert verdict_of(output)["status"] == "fail"
