"""The layout `tree` beside `subtests`: the same run, the same red, the same files."""

from __future__ import annotations

import pytest

from tests.builders import read_lines, write_project
from tests.layouts.project import DEMO, INI, MANIFEST, names

LAYOUTS = ("subtests", "tree")
TREE = "--experiment-layout=tree"
ALL = [f"{DEMO}::{name}" for name in names(6)]


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return f"--experiment-layout={request.param}"


# --- which layout is taken


def test_the_tree_is_file_experiment_dialogue(project):
    result = project.run("experiments", TREE, "--collect-only")
    tree = [line.strip() for line in result.outlines if line.strip().startswith("<")]
    assert tree[-8:] == [
        "<ManifestFile demo_experiment.yaml>",
        "<ExperimentNode demo_run>",
        *(f"<DialogueItem {name}>" for name in names(6)),
    ]
    assert project.take_calls() == []


def test_gates_are_the_last_item(project):
    project.write(2, name="gated", gates={"fact_coverage": {"min": 0.5}})
    ids = project.collect("experiments/gated_experiment.yaml", TREE)
    assert [name.rpartition("::")[2] for name in ids] == ["d0", "d1", "gates"]


def test_a_dialogue_may_be_called_gates(bare):
    row = {"dialogue_id": "gates", "user": "Why?"}
    bare.write([row], gates={"refusal_rate": {"max": 0.5}})
    ids = bare.collect(MANIFEST, TREE)
    assert len(set(ids)) == 2
    bare.run(MANIFEST, TREE).assert_outcomes(passed=2)
    assert bare.take_calls() == ["gates"]


@pytest.mark.parametrize(
    "words",
    [
        ["-k", "demo_run"],
        ["--lf"],
        ["--ff"],
        ["--nf", "--ff"],
        ["--sw"],
        ["--junitxml=junit.xml"],
        ["--deselect", f"{DEMO}::d5"],
        ["--experiment-layout=tree"],
        ["-o", "experiment_layout=tree"],
        ["--teamcity"],
    ],
)
def test_auto_takes_the_tree(project, words):
    if words == ["--teamcity"]:
        pytest.importorskip("teamcity")
    result = project.run(MANIFEST, "--collect-only", *words)
    assert "<DialogueItem d0>" in result.stdout.str()


@pytest.mark.parametrize("words", [[], ["-v"], ["-x"], ["--experiment-layout=subtests"]])
def test_auto_takes_subtests(project, words):
    result = project.run(MANIFEST, "--collect-only", *words)
    assert "<ExperimentItem demo_run>" in result.stdout.str()


def test_the_option_beats_the_ini_file_and_both_beat_auto(project):
    project.pytester.makeini(INI + "experiment_layout = tree\n")
    assert project.collect(MANIFEST) == ALL
    assert project.collect(MANIFEST, "--experiment-layout=subtests") == [DEMO]
    assert project.collect(MANIFEST, "--experiment-layout=subtests", "-k", "demo_run") == [DEMO]
    assert project.collect(MANIFEST, "--experiment-layout=auto") == [DEMO]


def test_a_layout_that_is_none_is_told(project):
    project.pytester.makeini(INI + "experiment_layout = forest\n")
    result = project.run(MANIFEST)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert "experiment_layout" in said
    assert all(word in said for word in ("forest", "auto", "subtests", "tree"))
    assert project.take_calls() == []


# --- one run serves all items


def test_each_call_is_sent_once(project, layout):
    project.run(MANIFEST, layout)
    assert project.take_calls() == names(6)
    for log in ("dialogues", "requests", "responses", "scores"):
        assert project.logged(log) == names(6)
    assert project.partial_folders() == []


@pytest.mark.parametrize("word", ["--setup-plan", "--collect-only", "--fixtures", "--markers"])
def test_looking_sends_nothing(project, layout, word):
    assert project.run(MANIFEST, layout, word).ret == pytest.ExitCode.OK
    assert project.take_calls() == []
    assert not (project.path / "runs").exists()


@pytest.mark.parametrize(
    "word", ["--import-mode=importlib", "-s", "--capture=sys", "--durations=3"]
)
def test_ways_to_run_make_no_difference(project, layout, word):
    project.fail("d1")
    assert project.run(MANIFEST, layout, word).ret == pytest.ExitCode.TESTS_FAILED
    assert project.take_calls() == names(6)


def test_repeats_are_one_item(project, layout):
    project.write(3, name="often", repeats=2)
    result = project.run("experiments/often_experiment.yaml", layout)
    result.assert_outcomes(passed=3 if layout == TREE else 1)
    assert project.take_calls() == sorted(names(3) * 2)


OVERLAP = """
import asyncio
import pytest
from pytest_experiment_profiler import Reply

class Meeting:
    def __init__(self):
        self.here = 0
        self.all_here = asyncio.Event()

    async def complete(self, prompt):
        self.here += 1
        if self.here == 6:
            self.all_here.set()
        async with asyncio.timeout(20):
            await self.all_here.wait()
        return Reply(text="met")

@pytest.fixture(scope="module")
def model_client():
    return Meeting()
"""


def test_calls_overlap(project, layout):
    (project.path / "experiments" / "conftest.py").write_text(OVERLAP, "utf-8")
    result = project.run(MANIFEST, layout)
    assert result.ret == pytest.ExitCode.OK
    assert project.summary()["counts"]["errors"] == 0


def test_both_layouts_leave_the_same_summary(project):
    kept = []
    for layout in LAYOUTS:
        project.fail("d2")
        project.run(MANIFEST, f"--experiment-layout={layout}")
        summary = project.summary()
        kept.append({key: summary[key] for key in summary if key != "provenance"})
    assert kept[0] == kept[1]
    assert kept[0]["counts"] == {
        "dialogues": 6,
        "selected": 6,
        "calls": 6,
        "errors": 1,
        "not_run": 0,
        "reused": 0,
    }


def test_one_table_whatever_the_layout(project, layout):
    result = project.run(MANIFEST, layout)
    assert result.stdout.str().count("Experiment Metrics") == 1
    assert result.stdout.str().count("(demo_run)") == 1


def test_the_first_line_does_not_deny_ones_own_client(project, layout):
    result = project.run(MANIFEST, layout)
    assert "client: none" not in result.stdout.str()


def test_two_experiments_side_by_side(project, layout):
    project.write(3, name="other")
    result = project.run("experiments", layout, "tests")
    assert result.ret == pytest.ExitCode.OK
    assert project.take_calls() == sorted(names(6) + names(3))
    assert result.stdout.str().count("Experiment Metrics") == 2


SHUFFLE = """
def pytest_collection_modifyitems(items):
    items.reverse()
"""


def test_the_order_of_items_is_not_the_order_of_the_log(project):
    (project.path / "conftest.py").write_text(SHUFFLE, "utf-8")
    project.run(MANIFEST, TREE).assert_outcomes(passed=6)
    assert project.take_calls() == names(6)
    assert project.logged() == project.logged("scores") == names(6)
    assert project.summary()["status"] == "complete"


MIXED = """
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.name)
"""


def test_items_of_two_experiments_may_be_mixed(project):
    project.write(6, name="other")
    (project.path / "conftest.py").write_text(MIXED, "utf-8")
    project.run("experiments", TREE).assert_outcomes(passed=12)
    assert project.take_calls() == sorted(names(6) * 2)
    for name in ("demo_run", "other_run"):
        summary = project.summary(project.path / "runs" / name)
        assert (summary["status"], summary["counts"]["calls"]) == ("complete", 6)


HEARD = """
def pytest_experiment_metrics():
    return {"length": lambda transcript: float(len(transcript.text))}

def pytest_experiment_dialogue(experiment, transcript):
    print("HEARD", transcript.dialogue.dialogue_id)

def pytest_experiment_summary(experiment, summary):
    print("SUMMED", experiment.experiment_id)
    summary["judge"] = "me"
"""


def test_the_hooks_are_called_once(project, layout):
    (project.path / "conftest.py").write_text(HEARD, "utf-8")
    result = project.run(MANIFEST, layout, "-s")
    said = result.stdout.str()
    heard = [line.split("HEARD ")[1].split()[0] for line in said.splitlines() if "HEARD" in line]
    assert heard == names(6)
    assert said.count("SUMMED demo_run") == 1
    summary = project.summary()
    assert (summary["length"], summary["judge"]) == (12.0, "me")


def test_hooks_of_a_folder_hear_of_its_dialogues_only(project, layout):
    deep = project.path / "experiments" / "deep"
    write_project(deep, 2, {}, name="deep")
    (deep / "conftest.py").write_text(HEARD, "utf-8")
    result = project.run("experiments", layout, "-s")
    assert result.ret == pytest.ExitCode.OK
    said = result.stdout.str()
    assert (said.count("HEARD"), said.count("SUMMED deep_run"), said.count("SUMMED")) == (2, 1, 1)


# --- no false green


def test_a_failed_dialogue_is_red_in_both_layouts(project, layout):
    project.fail("d1", "d4")
    result = project.run(MANIFEST, layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*dialogue d1*", "*the model is out*", "*dialogue d4*"])
    assert project.summary()["counts"]["errors"] == 2


def test_the_tree_counts_dialogues_and_nothing_else(project):
    project.fail("d1", "d4")
    project.run(MANIFEST, TREE).assert_outcomes(passed=4, failed=2)


@pytest.mark.parametrize("plugin", ["no:terminal", "no:cacheprovider", "no:junitxml"])
def test_red_stays_red_without_a_plugin_of_pytests(project, layout, plugin):
    project.fail("d1")
    assert project.run(MANIFEST, layout, "-p", plugin).ret == pytest.ExitCode.TESTS_FAILED


BROKEN = {"fact_coverage": {"min": 0.9}}


def test_a_broken_gate_is_red_in_both_layouts(project, layout):
    project.write(3, name="gated", gates=BROKEN, facts={"match": "exact"})
    path = project.path / "experiments" / "gated_data" / "dialogues.json"
    path.write_text(path.read_text("utf-8").replace("fact1", "unheard of"), "utf-8")
    result = project.run("experiments/gated_experiment.yaml", layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*gate: *fact_coverage*"])
    if layout == TREE:
        result.assert_outcomes(passed=3, failed=1)


def test_a_gate_on_single_dialogues_names_them(project, layout):
    gates = {"dialogue": {"fact_coverage": {"min": 1.0}}}
    project.write(3, name="gated", gates=gates)
    path = project.path / "experiments" / "gated_data" / "dialogues.json"
    path.write_text(path.read_text("utf-8").replace("fact1", "unheard of"), "utf-8")
    result = project.run("experiments/gated_experiment.yaml", layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*dialogue d1*", "*gate: *"])
    if layout == TREE:
        assert result.parseoutcomes()["failed"] == 1


LOCKED = """
import pytest
from pytest_experiment_profiler import ClientError

class Locked:
    async def complete(self, prompt):
        raise ClientError("wrong key", kind="authentication_error", scope="run")

@pytest.fixture(scope="module")
def model_client():
    return Locked()
"""


def test_dialogues_that_were_not_run_are_no_green(project, layout):
    (project.path / "experiments" / "conftest.py").write_text(LOCKED, "utf-8")
    project.write(5, name="big", concurrency=1)
    result = project.run("experiments/big_experiment.yaml", layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert "passed" not in outcomes
    assert project.summary(project.path / "runs" / "big_run")["counts"]["not_run"] == 4


BUDGETED = {"budget": {"tokens": 150}, "concurrency": 1, "max_tokens": 20}


def test_a_budget_that_ends_is_no_green(project, layout):
    project.write(5, name="poor", **BUDGETED)
    result = project.run("experiments/poor_experiment.yaml", layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    summary = project.summary(project.path / "runs" / "poor_run")
    assert summary["status"] == "partial"
    assert 0 < summary["counts"]["not_run"] < 5
    result.stdout.fnmatch_lines(["*were not run: *budget*"])


FIXTURES = {
    "raises": ("raise RuntimeError('no model here')", {"errors": 6}),
    "skips": ("pytest.skip('no model')", {"skipped": 6}),
}


@pytest.mark.parametrize("kind", FIXTURES)
def test_a_client_that_cannot_be_had_leaves_no_dialogue_green(project, kind):
    code, outcomes = FIXTURES[kind]
    (project.path / "experiments" / "conftest.py").write_text(
        f"import pytest\n@pytest.fixture(scope='module')\ndef model_client():\n    {code}\n",
        "utf-8",
    )
    project.run(MANIFEST, TREE).assert_outcomes(**outcomes)
    assert not (project.path / "runs").exists()


def test_a_users_hook_that_fails_is_red(project, layout):
    code = "def pytest_experiment_summary(summary):\n    raise ValueError('my own')\n"
    (project.path / "conftest.py").write_text(code, "utf-8")
    result = project.run(MANIFEST, layout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*my own*"])
    assert "INTERNALERROR" not in result.stdout.str()


AUTOUSE = """
import pytest

@pytest.fixture(autouse=True)
def around(tmp_path, monkeypatch, request):
    print("AROUND", request.node.name)
    yield
"""


def test_autouse_fixtures_of_the_project_work(project, layout):
    (project.path / "conftest.py").write_text(AUTOUSE, "utf-8")
    result = project.run(MANIFEST, layout, "-s")
    assert result.ret == pytest.ExitCode.OK
    assert result.stdout.str().count("AROUND") == (6 if layout == TREE else 1)


MARKING = """
import pytest

@pytest.fixture(autouse=True)
def mark(request):
    yield
    request.node.add_marker("late")

def pytest_runtest_logreport(report):
    print("REPORT", report.when, "late" in report.keywords)
"""


def test_reports_carry_the_marks_of_their_moment(project, layout):
    (project.path / "conftest.py").write_text(MARKING, "utf-8")
    (project.path / "pytest.ini").write_text("[pytest]\nmarkers = late\n", "utf-8")
    said = project.run(MANIFEST, layout, "-s").stdout.str()
    assert said.count("REPORT setup False") == said.count("REPORT teardown True") > 0
    assert said.count("REPORT call False") >= len(names(6))


# --- stopping


def test_x_stops_after_the_first_failure(bare, layout):
    (bare.path / "experiments" / "conftest.py").unlink()
    answers: dict[str, object] = {
        f"d{number}": {"completion": "x", "delay_s": 0.05} for number in range(200)
    }
    answers["d2"] = {"completion": "x", "error": {"status": 400, "type": "bad", "message": "no"}}
    write_project(bare.path / "experiments", 200, answers, name="big", concurrency=1)
    result = bare.run("experiments/big_experiment.yaml", layout, "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    folder = bare.path / "runs" / "big_run"
    summary = bare.summary(folder)
    assert summary["status"] == "partial"
    calls = len(read_lines(folder / "responses.jsonl"))
    assert calls == summary["counts"]["calls"] < 200
    assert summary["counts"]["not_run"] == 200 - calls


INTERRUPT = """
import os, signal, threading
import pytest
from pytest_experiment_profiler import Reply

HANDLED = threading.Event()

def handle(*args):
    HANDLED.set()
    signal.default_int_handler(*args)

signal.signal(signal.SIGINT, handle)

class Local:
    def complete(self, prompt):
        if prompt.dialogue_id == "d1":
            os.kill(os.getpid(), signal.SIGINT)
            HANDLED.wait()
        return Reply(text=prompt.dialogue_id)

@pytest.fixture(scope="module")
def model_client():
    return Local()
"""


def test_ctrl_c_in_the_tree_keeps_what_was_answered(project):
    (project.path / "experiments" / "conftest.py").write_text(INTERRUPT, "utf-8")
    project.write(300, name="big", concurrency=1)
    result = project.spawn("experiments/big_experiment.yaml", TREE)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    folder = project.path / "runs" / "big_run"
    lines = read_lines(folder / "responses.jsonl")
    assert [line["completion"] for line in lines][:2] == ["d0", "d1"]
    summary = project.summary(folder)
    assert summary["status"] == "partial"
    assert summary["counts"]["calls"] == len(lines)
