"""Sessions of several workers: a manifest stays in one, each call is sent once, one table."""

from __future__ import annotations

import json

import pytest

from tests.layouts.project import DEMO, MANIFEST, names

pytest.importorskip("xdist")
from xdist.remote import Producer

from pytest_experiment_profiler.distribution import make_scheduler

TREE = "--experiment-layout=tree"


@pytest.fixture(params=["subtests", "tree"])
def layout(request):
    return f"--experiment-layout={request.param}"


def check_whole(project, *experiments):
    """See that each dialogue was asked once, that logs are whole and in order."""
    assert project.take_calls() == sorted(names(6) * len(experiments))
    for name in experiments:
        folder = project.path / "runs" / name
        for log in ("dialogues", "requests", "responses", "scores"):
            assert project.logged(log, folder) == names(6)
        summary = project.summary(folder)
        assert (summary["status"], summary["counts"]["calls"]) == ("complete", 6)
        assert json.loads((folder / "run.json").read_text("utf-8"))["session"]
        assert not (folder / "history").exists()
        assert not (folder / "partial").exists()


def test_each_call_is_sent_once(project, layout):
    project.write(name="other")
    result = project.spawn("experiments", "tests", "-n", "2", layout)
    assert result.ret == pytest.ExitCode.OK
    check_whole(project, "demo_run", "other_run")
    said = result.stdout.str()
    assert said.count("Experiment Metrics") == 2
    assert said.count("(demo_run)") == said.count("(other_run)") == 1
    assert said.count("run folder: ") == 2
    result.assert_outcomes(passed=13 if layout == TREE else 3)


def test_a_plan_needs_no_workers(project, layout):
    result = project.spawn(MANIFEST, "-n", "2", layout, "--experiment-plan")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["demo_run: calls to make: 6"])
    assert project.take_calls() == []


def test_a_failed_dialogue_is_red_and_can_be_run_again(project, layout):
    project.fail("d1", "d4")
    result = project.spawn(MANIFEST, "-n", "2", layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the model is out*"])
    check_whole(project, "demo_run")
    project.fail()
    project.run(MANIFEST, "--lf").assert_outcomes(passed=2)
    assert project.take_calls() == ["d1", "d4"]


def test_ids_in_workers(project):
    result = project.spawn(f"{DEMO}::d1", f"{DEMO}::d4", "-n", "2")
    result.assert_outcomes(passed=2)
    assert project.take_calls() == ["d1", "d4"]
    assert project.partial_summary()["counts"]["selected"] == 2


def test_an_unknown_id_in_workers_sends_nothing(project):
    result = project.spawn(f"{DEMO}::d9", "-n", "2")
    assert result.ret != pytest.ExitCode.OK
    assert project.take_calls() == []


@pytest.mark.parametrize("dist", ["loadgroup", "worksteal"])
def test_other_ways_to_distribute_send_each_call_once(project, dist):
    result = project.spawn(MANIFEST, TREE, "-n", "2", f"--dist={dist}")
    assert project.take_calls() == names(6)
    assert result.ret == pytest.ExitCode.OK
    assert project.summary()["status"] == "complete"


def test_junit_of_workers_has_a_case_a_dialogue(project):
    project.fail("d1")
    result = project.spawn(MANIFEST, "-n", "2", "--junitxml=junit.xml")
    result.assert_outcomes(passed=5, failed=1)
    text = (project.path / "junit.xml").read_text("utf-8")
    assert text.count("<testcase ") == 6
    assert text.count('name="fact_coverage"') == 5


WORST_USD = 0.0051
"""A little more than one call of these can cost, at most: 1,000 tokens of answer."""


def test_a_budget_is_divided_among_the_workers(bare):
    for name in ("demo", "other"):
        bare.write(6, name=name, concurrency=1, max_tokens=1000)
    bare.spawn("experiments", "-n", "2", f"--experiment-budget-usd={1.9 * WORST_USD}")
    assert bare.take_calls() == []
    bare.spawn("experiments", "-n", "2", f"--experiment-budget-usd={2.1 * WORST_USD}")
    assert bare.take_calls() == sorted(names(6) * 2)


def test_a_budget_is_whole_where_one_worker_asks(bare):
    bare.write(6, concurrency=1, max_tokens=1000)
    bare.spawn("experiments", "tests", "-n", "2", f"--experiment-budget-usd={1.1 * WORST_USD}")
    assert bare.take_calls() == names(6)


def test_a_bare_session_is_not_searched_for_manifests(project):
    made = [
        make_scheduler(
            project.pytester.parseconfig("--dist=load", "--tx=popen", *words), Producer("x")
        )
        for words in ([], ["experiments"])
    ]
    assert [scheduler is None for scheduler in made] == [True, False]


# --- a worker that dies


def test_a_crashed_worker_loses_no_answer_and_pays_none_twice(project, layout):
    path = project.path / MANIFEST
    path.write_text(path.read_text("utf-8") + "concurrency: 1\n", "utf-8")
    project.kill("d3")
    result = project.spawn(MANIFEST, "-n", "2", layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "crashed" in result.stdout.str()
    assert project.take_calls() == sorted([*names(6), "d3"])
    assert project.logged() == project.logged("scores") == names(6)
    summary = project.summary()
    assert (summary["status"], summary["counts"]["errors"]) == ("complete", 0)
    assert not (project.run_folder / "history").exists()


def test_a_crash_in_a_partial_run_pays_none_twice(project):
    path = project.path / MANIFEST
    path.write_text(path.read_text("utf-8") + "concurrency: 1\n", "utf-8")
    project.kill("d3")
    project.spawn(*(f"{DEMO}::{name}" for name in ("d0", "d1", "d3", "d5")), "-n", "2")
    assert project.take_calls() == ["d0", "d1", "d3", "d3", "d5"]
    assert project.logged(folder=project.partial_folders()[-1]) == ["d0", "d1", "d3", "d5"]


def test_what_a_crashed_worker_may_have_spent_is_not_spent_again(bare):
    bare.write(6, concurrency=1, max_tokens=1000)
    bare.kill("d3")
    words = (MANIFEST, "-n", "1", f"--experiment-budget-usd={10 * WORST_USD}")
    result = bare.spawn(*words)
    assert bare.take_calls() == names(4)
    result.stdout.fnmatch_lines(["*3 of 6 dialogues were not run: budget"])
    bare.spawn(*words, "--experiment-resume")
    assert bare.take_calls() == ["d3", "d4", "d5"]
