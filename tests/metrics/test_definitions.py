"""The name of the definitions, in copies of the package that were changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_experiment_profiler
from pytest_experiment_profiler.metrics.definitions import name_definitions

SOURCE = Path(pytest_experiment_profiler.__file__).parent
NAME = (
    "from pytest_experiment_profiler.metrics import definitions as d; print(d.name_definitions())"
)


@pytest.fixture
def copy(tmp_path):
    """Copy the package, to be changed and asked for its name of the definitions."""
    return shutil.copytree(SOURCE, tmp_path / SOURCE.name)


def name(folder):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, sys.argv[1]); {NAME}",
            folder.parent,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def replace(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_a_copy_has_the_same_name(copy):
    assert name(copy) == name_definitions()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("../experiment.py", b'"refusal", ', b""),
        ("refusal_weights.json", b'"intercept": ', b'"intercept": 1'),
        ("facts.py", b"def ", b"#\ndef "),
        ("__init__.py", b"def ", b"#\ndef "),
    ],
)
def test_code_and_weights_change_it(copy, file, old, new):
    replace(copy / "metrics" / file, old, new)

    assert name(copy) != name_definitions()


@pytest.mark.parametrize("file", ["reports/table.py", "summary.py", "metrics/facts.py"])
def test_nothing_else_does(copy, file):
    if file.startswith("metrics"):
        replace(copy / file, b"\n", b"\r\n")
    else:
        replace(copy / file, b"def ", b"#\ndef ")
    (copy / "metrics" / "notes.txt").write_text("mine", "utf-8")

    assert name(copy) == name_definitions()
