"""Selecting dialogues: by id, by name, by mark, by how they ended; what a partial run may do."""

from __future__ import annotations

import json

import pytest

from pytest_experiment_profiler.reports.plain import make_plain
from tests.layouts.project import DEMO, MANIFEST, names

TREE = "--experiment-layout=tree"
SUBTESTS = "--experiment-layout=subtests"


def ids(*dialogues):
    return [f"{DEMO}::{name}" for name in dialogues]


def check_partial(project, *dialogues):
    """See that these dialogues ran, and that their run is a partial one of its own."""
    assert project.take_calls() == sorted(dialogues)
    summary = project.partial_summary()
    assert summary["status"] == "partial"
    assert summary["counts"]["selected"] == summary["counts"]["calls"] == len(dialogues)
    assert summary["counts"]["dialogues"] == 6
    [folder] = project.partial_folders()
    assert project.logged(folder=folder) == sorted(dialogues)
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert run["selection"]["ids"] == sorted(dialogues)


# --- by id


@pytest.mark.parametrize("chosen", [["d3"], ["d1", "d4"], ["d4", "d1"], ["d2", "d2"]])
def test_ids_run_what_they_name(project, chosen):
    wanted = sorted(set(chosen))
    project.run(*ids(*chosen)).assert_outcomes(passed=len(wanted))
    check_partial(project, *wanted)


@pytest.mark.parametrize(
    "word",
    [
        f"--experiment={DEMO}::d3",
        "--experiment=demo_experiment.yaml::demo_run::d3",
        f"./{DEMO}::d3",
        f"experiments/../{DEMO}::d3",
    ],
)
def test_ways_to_name_one_dialogue(project, word):
    project.run(word).assert_outcomes(passed=1)
    check_partial(project, "d3")


def test_an_absolute_id_works(project):
    project.run(f"{project.path}/{DEMO}::d3").assert_outcomes(passed=1)
    check_partial(project, "d3")


def test_an_id_through_a_link_works(project, tmp_path_factory):
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(project.path, target_is_directory=True)
    project.run(f"{link}/{DEMO}::d3", f"--rootdir={link}").assert_outcomes(passed=1)
    assert project.take_calls() == ["d3"]


def test_an_id_works_from_a_folder_below(project, monkeypatch):
    monkeypatch.chdir(project.path / "experiments")
    project.run("demo_experiment.yaml::demo_run::d3").assert_outcomes(passed=1)
    assert project.take_calls() == ["d3"]


def test_an_id_beats_the_option(project):
    project.run(f"--experiment={MANIFEST}", f"{DEMO}::d3").assert_outcomes(passed=1)
    check_partial(project, "d3")


def test_ids_beside_other_tests(project):
    project.run(*ids("d3"), "tests").assert_outcomes(passed=2)
    check_partial(project, "d3")


def test_ids_of_two_manifests(project):
    project.write(3, name="other")
    other = "experiments/other_experiment.yaml::other_run"
    project.run(*ids("d3"), f"{other}::d1", f"{other}::d2").assert_outcomes(passed=3)
    assert project.take_calls() == ["d1", "d2", "d3"]


@pytest.mark.parametrize("whole", [MANIFEST, DEMO, "experiments"])
def test_an_id_beside_its_whole_manifest_runs_all(project, whole):
    result = project.run(*ids("d3"), whole)
    assert result.ret == pytest.ExitCode.OK
    assert project.take_calls() == names(6)
    assert project.summary()["status"] == "complete"
    assert project.partial_folders() == []


def test_all_ids_are_a_whole_run(project):
    project.run(*ids(*names(6))).assert_outcomes(passed=6)
    assert project.take_calls() == names(6)
    assert project.summary()["status"] == "complete"
    assert project.partial_folders() == []


def test_ids_run_in_dataset_order(project):
    assert project.collect(*ids("d4", "d0", "d2")) == ids("d0", "d2", "d4")


def test_a_forced_layout_of_subtests_still_runs_only_what_is_named(project):
    result = project.run(SUBTESTS, *ids("d3"))
    assert project.take_calls() == ["d3"]
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("name", "hint"), [("d33", "did you mean"), ("nothing like it", ""), ("gates", "")]
)
def test_an_id_that_is_not_there_is_a_wrong_call(project, name, hint):
    result = project.run(*ids("d1", name))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert f"not found: {DEMO}::{name}" in said
    assert hint in said
    assert "Traceback" not in said
    assert project.take_calls() == []


@pytest.mark.parametrize("name", ["other_run::d1", "other_run", "::d1", "demo_run::d1::more"])
def test_an_experiment_that_is_not_there_is_a_wrong_call(project, name):
    result = project.run(f"{MANIFEST}::{name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "not found" in result.stdout.str() + result.stderr.str()
    assert project.take_calls() == []


def test_an_id_in_a_manifest_that_is_not_there_is_a_wrong_call(project):
    result = project.run("experiments/none_experiment.yaml::demo_run::d1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "none_experiment.yaml" in result.stdout.str() + result.stderr.str()
    assert project.take_calls() == []


def test_an_id_in_a_bad_manifest_shows_what_is_wrong_with_it(project):
    path = project.write(2, name="bad", max_tokens=0)
    result = project.run(f"{path.relative_to(project.path)}::bad_run::d1")
    assert result.ret not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    assert "max_tokens must be a whole number" in result.stdout.str() + result.stderr.str()


# --- odd ids

ODD = (
    "a[b]",
    "path/to.file",
    "one::two",
    "::edge::",
    "back\\slash",
    "with space",
    "-k",
    "--lf",
    "@file",
    "größe",
    "日本語",
    "quote\"'`",
    "x" * 120,
    "{brace}",
    "100%",
    "*",
    "a:b",
    "\u202eright to left",
    "\x9b31m red",
    "zero\u200bwidth",
    "##[error]x",
)


@pytest.fixture
def odd(bare):
    bare.write([{"dialogue_id": name, "user": "Why?"} for name in ODD])
    return bare


def test_odd_ids_are_run_and_reported_whatever_the_layout(odd):
    for layout in (SUBTESTS, TREE):
        result = odd.run(MANIFEST, layout, "-v")
        assert result.ret == pytest.ExitCode.OK
        assert sorted(odd.logged()) == sorted(ODD)
        assert make_plain(result.stdout.str()) == result.stdout.str()


def collect_items(odd, *words):
    """Collect in the tree layout and give the ids, as a caller that holds the nodes has them."""
    items, _ = odd.pytester.inline_genitems(*words)
    return [item.nodeid for item in items]


def test_names_hold_nothing_that_a_tool_trips_over(odd):
    found = collect_items(odd, MANIFEST, TREE)
    assert len(set(found)) == len(ODD)
    for node in found:
        name = node.removeprefix(f"{DEMO}::")
        assert name.strip()
        assert not set(name) & set("[]./\\")
        assert "::" not in name
        assert name.isprintable()


def test_each_odd_id_can_be_selected_by_its_node_id(odd):
    for node in collect_items(odd, MANIFEST, TREE):
        assert collect_items(odd, node) == [node]


def test_an_odd_id_runs_alone(odd):
    [node] = [n for n in collect_items(odd, MANIFEST, TREE) if "path" in n]
    odd.run(node).assert_outcomes(passed=1)
    assert odd.take_calls() == ["path/to.file"]
    [folder] = odd.partial_folders()
    assert odd.logged(folder=folder) == ["path/to.file"]


@pytest.mark.parametrize("name", ["a[b]", "path/to.file", "one::two", "zero\u200bwidth"])
def test_the_real_id_may_be_typed_too(odd, name):
    odd.run(f"{DEMO}::{name}").assert_outcomes(passed=1)
    assert odd.take_calls() == [name]


def test_odd_ids_that_failed_run_again(odd):
    (odd.path / "experiments" / "failing.txt").write_text(
        "a[b] path/to.file one::two zero\u200bwidth", "utf-8"
    )
    for layout in (SUBTESTS, TREE):
        odd.run(MANIFEST, layout)
        odd.take_calls()
        odd.run(MANIFEST, "--lf")
        assert odd.take_calls() == ["a[b]", "one::two", "path/to.file", "zero\u200bwidth"]


@pytest.mark.parametrize("twins", [("a.b", "a/b"), ("a[1]", "a(1)"), ("a::b", "a_b")])
def test_two_ids_of_one_name_are_told_in_the_tree(bare, twins):
    bare.write([{"dialogue_id": name, "user": "Why?"} for name in ("first", *twins)])
    result = bare.run(MANIFEST, TREE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*dialogues.json:4:1: dialogue_id * same test name as *line 3*"])
    assert "INTERNALERROR" not in result.stdout.str()
    assert bare.take_calls() == []


def test_two_ids_of_one_name_run_as_subtests(bare):
    bare.write([{"dialogue_id": name, "user": "Why?"} for name in ("a.b", "a/b")])
    bare.run(MANIFEST, SUBTESTS).assert_outcomes(passed=1)
    assert bare.take_calls() == ["a.b", "a/b"]


# --- by name and mark


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("d3", ["d3"]),
        ("d1 or d4", ["d1", "d4"]),
        ("not d0", ["d1", "d2", "d3", "d4", "d5"]),
        ("demo_run and d5", ["d5"]),
    ],
)
def test_k_selects_dialogues(project, expression, wanted):
    project.run(MANIFEST, "-k", expression).assert_outcomes(
        passed=len(wanted), deselected=6 - len(wanted)
    )
    check_partial(project, *wanted)


@pytest.mark.parametrize("expression", ["demo_run", "demo_experiment", "not nothing"])
def test_k_that_takes_all_is_a_whole_run(project, expression):
    project.run(MANIFEST, "-k", expression).assert_outcomes(passed=6)
    assert project.summary()["status"] == "complete"
    assert project.partial_folders() == []


def test_k_that_takes_none_sends_nothing(project):
    result = project.run(MANIFEST, "-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.take_calls() == []
    assert not (project.path / "runs").exists()


MARKS = """
import pytest

def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long")

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name in {"d1", "d4"}:
            item.add_marker("slow")
"""


@pytest.mark.parametrize(
    ("expression", "wanted"), [("slow", ["d1", "d4"]), ("not slow", ["d0", "d2", "d3", "d5"])]
)
@pytest.mark.parametrize("layout", [TREE, "--experiment-layout=auto"])
def test_m_selects_dialogues(project, expression, wanted, layout):
    (project.path / "conftest.py").write_text(MARKS, "utf-8")
    project.run(MANIFEST, layout, "-m", expression).assert_outcomes(
        passed=len(wanted), deselected=6 - len(wanted)
    )
    check_partial(project, *wanted)


@pytest.mark.parametrize("words", [["d1"], ["d1", "d4"]])
def test_deselect_takes_dialogues_away(project, words):
    options = [word for name in words for word in ("--deselect", f"{DEMO}::{name}")]
    project.run(MANIFEST, *options).assert_outcomes(passed=6 - len(words), deselected=len(words))
    check_partial(project, *(name for name in names(6) if name not in words))


def test_deselect_takes_an_experiment_away(project):
    result = project.run(MANIFEST, "--deselect", DEMO)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.take_calls() == []


# --- by how they ended


@pytest.fixture(params=[SUBTESTS, TREE])
def failed(project, request):
    """The project after a whole run in which d1 and d4 failed; they would not fail again."""
    project.fail("d1", "d4")
    project.run(MANIFEST, request.param)
    assert project.take_calls() == names(6)
    project.fail()
    return project


def test_lf_runs_the_failed_dialogues_whichever_layout_failed(failed):
    failed.run(MANIFEST, "--lf").assert_outcomes(passed=2)
    check_partial(failed, "d1", "d4")
    assert failed.summary()["counts"]["errors"] == 2


def test_lf_goes_on_until_none_is_left(failed):
    failed.fail("d4")
    failed.run(MANIFEST, "--lf").assert_outcomes(passed=1, failed=1)
    failed.take_calls()
    failed.fail()
    failed.run(MANIFEST, "--lf").assert_outcomes(passed=1)
    assert failed.take_calls() == ["d4"]
    failed.run(MANIFEST, "--lf").assert_outcomes(passed=6)
    assert failed.take_calls() == names(6)


def test_lf_through_the_option(failed):
    failed.run(f"--experiment={MANIFEST}", "--lf").assert_outcomes(passed=2)
    assert failed.take_calls() == ["d1", "d4"]


def test_lf_with_no_manifest_named_runs_none(failed):
    failed.run("--lf")
    assert failed.take_calls() == []


@pytest.mark.parametrize("words", [[], ["-n2"]])
def test_lf_in_the_other_layout_sends_no_more_than_the_failed(failed, words):
    failed.run(MANIFEST, "--lf", SUBTESTS, *words).assert_outcomes(passed=2)
    assert failed.take_calls() == ["d1", "d4"]
    failed.run(MANIFEST, "--lf", SUBTESTS).assert_outcomes(passed=1)
    assert failed.take_calls() == names(6)


def test_lf_after_a_whole_green_run_runs_all(failed):
    failed.run(MANIFEST).assert_outcomes(passed=1)
    failed.take_calls()
    failed.run(MANIFEST, "--lf").assert_outcomes(passed=6)
    assert failed.take_calls() == names(6)


def test_a_partial_run_of_others_forgets_no_failure(failed):
    failed.run(*ids("d0"))
    failed.take_calls()
    failed.run(MANIFEST, "--lf").assert_outcomes(passed=2)
    assert failed.take_calls() == ["d1", "d4"]


def test_ff_runs_all_the_failed_first(failed):
    result = failed.run(MANIFEST, "--ff", "-v")
    result.assert_outcomes(passed=6)
    order = [line.split()[0].rpartition("::")[2] for line in result.outlines if "PASSED" in line]
    assert order == ["d1", "d4", "d0", "d2", "d3", "d5"]
    assert failed.take_calls() == names(6)
    assert failed.logged() == names(6)
    assert failed.summary()["status"] == "complete"


def test_ff_with_two_manifests_sends_each_call_once(project):
    project.write(3, name="other")
    project.fail("d1")
    project.run("experiments")
    project.take_calls()
    project.fail()
    project.run("experiments", "--ff").assert_outcomes(passed=9)
    assert project.take_calls() == sorted(names(6) + names(3))


def test_lf_beside_other_tests(failed):
    failed.run("experiments", "tests", "--lf").assert_outcomes(passed=2)
    assert failed.take_calls() == ["d1", "d4"]


def test_lf_knows_two_manifests_apart(project):
    project.write(3, name="other")
    project.fail("d2")
    project.run("experiments")
    project.take_calls()
    project.run("experiments", "--lf").assert_outcomes(failed=2)
    assert project.take_calls() == ["d2", "d2"]


def test_sw_stops_and_goes_on(project):
    project.fail("d2")
    project.run(MANIFEST, "--sw").assert_outcomes(passed=2, failed=1)
    project.take_calls()
    project.fail()
    project.run(MANIFEST, "--sw").assert_outcomes(passed=4, deselected=2)
    assert project.take_calls() == ["d2", "d3", "d4", "d5"]


def last_failed(project):
    path = project.path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    return list(json.loads(path.read_text("utf-8")))


def spoil(project, *facts):
    """Ask for facts that no answer holds, in place of these."""
    path = project.path / "experiments" / "demo_data" / "dialogues.json"
    text = path.read_text("utf-8")
    for fact in facts:
        text = text.replace(fact, "unheard of")
    path.write_text(text, "utf-8")


def test_lf_never_turns_a_broken_gate_green(bare):
    bare.write(6, gates={"fact_coverage": {"min": 0.9}, "max_error_rate": 0.5})
    spoil(bare, "fact1", "fact2")
    bare.fail("d0")
    bare.run(MANIFEST, TREE).assert_outcomes(passed=5, failed=2)
    bare.fail()
    result = bare.run(MANIFEST, "--lf", "-v")
    judged_whole = "dialogues: 6, calls: 6" in result.outlines
    assert judged_whole or not [line for line in result.outlines if "gates PASSED" in line]
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert last_failed(bare) == ids("gates")


@pytest.mark.parametrize("words", [ids(*names(6)), [MANIFEST, "-k", "d0 or not gates"]])
def test_a_whole_run_keeps_its_gates_though_their_item_is_left_out(bare, words):
    bare.write(6, gates={"fact_coverage": {"min": 0.9}})
    assert bare.run(*words).ret == pytest.ExitCode.OK
    spoil(bare, "fact1", "fact2")
    result = bare.run(*words)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["gate: fact_coverage 0.6667 is below its minimum of 0.9"])
    assert bare.summary()["status"] == "complete"


def test_gates_alone_judge_no_empty_run(bare):
    bare.write(6, gates={"fact_coverage": {"min": 0.9}})
    spoil(bare, "fact1", "fact2")
    bare.run(MANIFEST)
    bare.take_calls()
    result = bare.run(MANIFEST, "--lf")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "has no value" not in result.stdout.str()
    assert bare.take_calls() in ([], names(6))


LEFT_OVER: list[list[str]] = [
    ["-k", "not d3"],
    ["-k", "not d3 and not d5"],
    ["--deselect", f"{DEMO}::d3"],
    ["-k", "demo_run and not d3"],
    ["-k", "not (d0 or d1 or d2 or d3 or d4 or d5)"],
]


@pytest.mark.parametrize("words", LEFT_OVER)
def test_gates_that_a_selection_leaves_over_are_skipped(bare, words):
    bare.write(6, gates={"fact_coverage": {"min": 0.9}})
    spoil(bare, "fact1", "fact2")
    result = bare.run(MANIFEST, *words, "-rs")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["skipped"] == 1
    result.stdout.fnmatch_lines(["*gates judge whole runs, and [045] of 6 dialogues were selected"])
    assert not (bare.run_folder / "summary.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ids("d1", "gates"),
        ids("gates"),
        [MANIFEST, "-k", "gates"],
        [MANIFEST, "-k", "d1 or Gates"],
        [MANIFEST, "-k", "gates and not d3"],
    ],
)
def test_gates_that_are_asked_for_are_no_green_in_a_partial_run(bare, words):
    bare.write(6, gates={"fact_coverage": {"min": 0.1}})
    result = bare.run(*words)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["gates judge whole runs, and [01] of 6 dialogues were selected"])
    assert bare.take_calls() in ([], ["d1"])


@pytest.mark.parametrize("words", [[], ["-n2"]])
def test_gates_that_are_skipped_are_not_forgotten(bare, words):
    bare.write(6, gates={"fact_coverage": {"min": 0.9}})
    spoil(bare, "fact1", "fact2")
    bare.run(MANIFEST, TREE).assert_outcomes(passed=6, failed=1)
    bare.run(MANIFEST, "-k", "not d3", *words).assert_outcomes(passed=5, skipped=1)
    assert last_failed(bare) == ids("gates")


def test_gates_are_skipped_where_pytest_keeps_no_cache(bare):
    bare.write(6, gates={"fact_coverage": {"min": 0.9}})
    result = bare.run(MANIFEST, "-k", "not d3", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=5, skipped=1)


def test_stepwise_goes_on_past_what_it_left_behind(bare):
    bare.write(6, gates={"fact_coverage": {"min": 0.1}})
    bare.fail("d2")
    assert bare.run(MANIFEST, "--sw").ret == pytest.ExitCode.INTERRUPTED
    bare.fail()
    bare.run(MANIFEST, "--sw").assert_outcomes(passed=4, skipped=1)


# --- what a partial run is


def test_a_partial_run_says_so(project):
    result = project.run(*ids("d1", "d4"))
    result.stdout.fnmatch_lines(["partial: 2 of 6 dialogues, calls: 2"])
    assert project.partial_summary()["status"] == "partial"


def test_a_whole_run_does_not_say_so(project):
    result = project.run(MANIFEST)
    result.stdout.fnmatch_lines(["dialogues: 6, calls: 6"])


def test_a_partial_run_leaves_the_whole_runs_files_as_they_are(project):
    project.run(MANIFEST)
    before = {path.name: path.read_bytes() for path in project.run_folder.iterdir()}
    project.fail("d1")
    project.run(*ids("d1"))
    project.run(MANIFEST, "-k", "d1")
    assert len(project.partial_folders()) == 2
    after = {p.name: p.read_bytes() for p in project.run_folder.iterdir() if p.is_file()}
    assert after == before


def test_a_partial_run_before_any_whole_one_leaves_none(project):
    project.run(*ids("d1"))
    assert not (project.run_folder / "summary.json").exists()
    assert not (project.run_folder / "responses.jsonl").exists()


def test_a_partial_run_is_no_baseline(project):
    project.run(*ids("d1", "d4"))
    [folder] = project.partial_folders()
    project.take_calls()
    result = project.run(MANIFEST, f"--experiment-baseline={folder}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "partial" in result.stdout.str() + result.stderr.str()
    assert project.take_calls() == []


def test_some_dialogues_are_compared_only_where_asked_for(project):
    project.run(MANIFEST, "--experiment-output=kept")
    project.take_calls()
    words = [*ids("d1", "d4"), "--experiment-baseline=kept"]
    result = project.run(*words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "4 dialogues only in the baseline: d0, d2, d3 and 1 more" in result.stderr.str()
    assert project.take_calls() == []
    project.run(*words, "--experiment-intersection").assert_outcomes(passed=2)
    assert project.partial_summary()["comparison"]["pairs"] == 2


def test_a_baseline_named_by_its_folder_is_the_whole_run(project):
    project.run(MANIFEST)
    project.run(*ids("d1"))
    result = project.run(
        MANIFEST, f"--experiment-baseline={project.run_folder}", "--experiment-output=new"
    )
    assert result.ret == pytest.ExitCode.OK
    summary = project.summary(project.path / "new" / "demo_run")
    assert summary["comparison"] is not None


def test_gates_are_not_judged_on_a_partial_run(bare):
    bare.write(6, gates={"fact_coverage": {"min": 0.99}})
    result = bare.run(*ids("d1"))
    result.assert_outcomes(passed=1)
    assert bare.take_calls() == ["d1"]
    assert bare.partial_summary()["gates"] == []
    assert "gate " not in result.stdout.str()


def test_the_gates_item_alone_is_no_green(bare):
    bare.write(6, gates={"fact_coverage": {"min": 0.99}})
    result = bare.run(*ids("gates"))
    assert result.ret != pytest.ExitCode.OK or bare.summary()["status"] == "complete"


def test_resuming_a_selection_touches_no_whole_run(project):
    project.run(MANIFEST)
    before = (project.run_folder / "summary.json").read_bytes()
    project.run(*ids("d1"), "--experiment-resume")
    assert (project.run_folder / "summary.json").read_bytes() == before


def test_a_selection_is_planned_as_one(project):
    (project.path / "experiments" / "conftest.py").unlink()
    data = project.path / "experiments" / "demo_data"
    (data / "mock_responses.json").write_text("{}", "utf-8")
    result = project.run(*ids("d1", "d4"), "--experiment-plan")
    result.stdout.fnmatch_lines(["demo_run: calls to make: 2"])
    assert not (project.path / "runs").exists()


@pytest.mark.parametrize("own", [True, False])
def test_a_plan_without_anyone_to_answer_is_no_crash(project, own):
    if not own:
        (project.path / "experiments" / "conftest.py").unlink()
    result = project.run(MANIFEST, "--experiment-plan")
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert result.ret in {pytest.ExitCode.OK, pytest.ExitCode.USAGE_ERROR}
    assert not (project.path / "runs").exists()
