"""What the tests of the grader share: programs to grade, and how they are graded."""

from __future__ import annotations

import textwrap

import pytest

from grader.grade import Options, grade
from tests.grader.builders import RIGHT


@pytest.fixture
def program(tmp_path):
    """Write a submission whose cli.py is the given text."""

    def write(text, name="handed_in"):
        folder = tmp_path / name / "experiment_profiler"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "cli.py").write_text(textwrap.dedent(text), encoding="utf-8")
        return folder.parent

    return write


@pytest.fixture(scope="session")
def passed():
    """Give the verdict about a right program."""
    return grade(RIGHT, Options(seed=5, feedback="full"))
