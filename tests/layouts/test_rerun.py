"""Items that are run again in one session, as rerunning plugins do it, judge the same answers."""

from __future__ import annotations

import pytest

from tests.layouts.project import MANIFEST, names

AGAIN = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    runtestprotocol(item, log=False, nextitem=item.parent)
    runtestprotocol(item, log=True, nextitem=nextitem)
    return True
"""
"""Two tries of each item, with the module's fixtures of the first; the second one counts."""


@pytest.fixture(params=["subtests", "tree"])
def layout(request):
    return f"--experiment-layout={request.param}"


@pytest.fixture
def again(project):
    (project.path / "conftest.py").write_text(AGAIN, "utf-8")
    return project


def check_clean(result):
    said = result.stdout.str() + result.stderr.str()
    assert not [word for word in ("Traceback", "INTERNALERROR", "runlog.py") if word in said]


def test_a_second_try_is_as_green(again, layout):
    result = again.run(MANIFEST, layout)
    assert result.ret == pytest.ExitCode.OK
    check_clean(result)
    assert again.take_calls() == again.logged("scores") == names(6)


def test_a_second_try_judges_the_same_answers_and_sends_nothing(again, layout):
    again.fail("d1")
    result = again.run(MANIFEST, layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    check_clean(result)
    result.stdout.fnmatch_lines(["*the model is out*"])
    assert again.take_calls() == again.logged("scores") == names(6)


def test_a_second_try_of_what_was_not_run_stays_red(again, layout):
    path = again.path / MANIFEST
    path.write_text(path.read_text("utf-8") + "budget: {tokens: 1}\n", "utf-8")
    result = again.run(MANIFEST, layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    check_clean(result)
    result.stdout.fnmatch_lines(["*dialogues were not run: budget*"])
    assert again.take_calls() == []


def test_a_second_try_of_a_gate_stays_red(again, layout):
    again.write(3, name="gated", gates={"fact_coverage": {"min": 0.9}})
    path = again.path / "experiments" / "gated_data" / "dialogues.json"
    path.write_text(path.read_text("utf-8").replace("fact1", "unheard of"), "utf-8")
    result = again.run("experiments/gated_experiment.yaml", layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    check_clean(result)
    result.stdout.fnmatch_lines(["gate: fact_coverage*"])
    assert again.take_calls() == names(3)
