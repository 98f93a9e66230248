"""The plugin as its users meet it: what is collected, what runs, what is told, what is left."""

from __future__ import annotations

import json
import re
import shutil
import sys
from importlib import import_module

import pytest

from pytest_experiment_profiler.runfolder import FILES
from tests.builders import SAMPLE, TABLE, read_lines, write_project

INI = """
[pytest]
strict = true
filterwarnings = error
testpaths = tests
experiment_paths = experiments
"""
MANIFEST = "experiments/demo_experiment.yaml"
ANSWERS = "fact0 fact1 fact2"


@pytest.fixture(autouse=True, scope="module")
def _load_once():
    """Load what pytester would forget after each run; extension modules load only once."""
    package = "pytest_experiment_profiler"
    for name in ("items", "loop", "clients.mock", "reports.table", "reports.failure"):
        import_module(f"{package}.{name}")
    for name in ("yaml", "jsonschema", "rich.console", "rich.table", "rich.text", "hypothesis"):
        import_module(name)


@pytest.fixture
def project(pytester):
    """A project with a test, a manifest of three dialogues, and nothing else."""
    pytester.makeini(INI)
    pytester.path.joinpath("tests").mkdir()
    pytester.path.joinpath("tests", "test_beside.py").write_text("def test_it(): pass\n", "utf-8")
    write_project(pytester.path / "experiments")
    return pytester


def add_client(project, code, folder="."):
    """Override the client in a conftest.py."""
    path = project.path / folder / "conftest.py"
    head = "import pytest\nfrom pytest_experiment_profiler import ClientError, Prompt, Reply\n"
    path.write_text(head + code, "utf-8")


def read_summary(project, name="demo_run", output="runs"):
    path = project.path / output / name / "summary.json"
    return json.loads(path.read_text("utf-8"))


def check_clean(result):
    """See that nothing of ours is shown: no traceback, no source."""
    said = result.stdout.str() + result.stderr.str()
    for word in ("Traceback", "During handling", "INTERNALERROR", "items.py", "engine.py"):
        assert word not in said


PRINTING = """
def pytest_experiment_dialogue(experiment, transcript):
    print("HEARD", transcript.dialogue.dialogue_id)


class Failing:
    def complete(self, prompt):
        raise ClientError("no")


@pytest.fixture(scope="module")
def model_client():
    return Failing()
"""


@pytest.mark.parametrize("capture", ["fd", "sys"])
def test_what_a_hook_prints_is_captured_once_an_experiment(project, capture):
    add_client(project, PRINTING)
    result = project.runpytest(f"--experiment={MANIFEST}", f"--capture={capture}")
    before, *captured = result.stdout.str().split("Captured stdout call")
    assert "HEARD" not in before
    assert [re.findall(r"HEARD (\w+)", said) for said in captured] == [["d0", "d1", "d2"]]


@pytest.mark.parametrize("name", ["capsys", "capfd", "capfdbinary"])
def test_a_project_may_capture_each_of_its_tests(project, name):
    add_client(project, PRINTING)
    fixture = f"import pytest\n\n@pytest.fixture(autouse=True)\ndef quiet({name}): yield\n"
    (project.path / "experiments" / "conftest.py").write_text(fixture, "utf-8")
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(failed=4)
    assert read_summary(project)["counts"]["calls"] == 3


def test_what_a_hook_prints_is_seen_at_once_without_capture(project):
    add_client(project, PRINTING)
    said = project.runpytest(f"--experiment={MANIFEST}", "-s").stdout.str()
    assert "Captured" not in said
    assert said.count("HEARD") == 3


# --- which manifests run


def test_a_manifest_is_one_item_and_nothing_else_runs(project):
    result = project.runpytest(f"--experiment={MANIFEST}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["collected 1 item", "client: mock (no credentials)"], consecutive=True
    )
    assert read_summary(project)["fact_coverage"] == 1.0


@pytest.mark.parametrize(
    "words",
    [
        [f"--experiment={MANIFEST}"],
        ["--experiment", MANIFEST],
        ["--experiment", "demo_experiment.yaml"],
        ["--experiment=demo_experiment.yaml"],
        [f"--experiment={MANIFEST}", "--experiment=demo_experiment.yaml"],
        [f"--experiment={MANIFEST}", MANIFEST],
        [f"--experiment={MANIFEST}::demo_run"],
        [MANIFEST],
        [f"{MANIFEST}::demo_run"],
        ["experiments"],
    ],
)
def test_ways_to_name_a_manifest(project, words):
    result = project.runpytest(*words)
    result.assert_outcomes(passed=1)
    assert len(read_lines(project.path / "runs" / "demo_run" / "responses.jsonl")) == 3


def test_a_manifest_is_found_from_a_folder_below(project, monkeypatch):
    monkeypatch.chdir(project.path / "tests")
    result = project.runpytest("--experiment=demo_experiment.yaml")
    result.assert_outcomes(passed=1)
    assert (project.path / "tests" / "runs" / "demo_run" / "summary.json").exists()


def test_the_current_folder_comes_before_experiment_paths(project):
    write_project(project.path, name="near").rename(project.path / "demo_experiment.yaml")
    project.runpytest("--experiment=demo_experiment.yaml").assert_outcomes(passed=1)
    assert read_summary(project, "near_run")["status"] == "complete"


def test_a_manifest_may_have_any_name(project):
    (project.path / MANIFEST).rename(project.path / "experiments" / "mine.yaml")
    project.runpytest("--experiment=mine.yaml").assert_outcomes(passed=1)
    project.runpytest("experiments/mine.yaml").assert_outcomes(passed=1)
    assert project.runpytest("experiments").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_several_manifests_run_one_after_the_other(project):
    write_project(project.path / "experiments", name="other")
    result = project.runpytest(f"--experiment={MANIFEST}", "--experiment=other_experiment.yaml")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*(demo_run)", "*(other_run)"])
    assert read_summary(project, "other_run")["status"] == "complete"


def test_other_paths_beside_it_run_too(project):
    project.runpytest(f"--experiment={MANIFEST}", "tests").assert_outcomes(passed=2)


def test_node_ids_beside_it_win(project):
    result = project.runpytest(f"--experiment={MANIFEST}", "tests/test_beside.py::test_it")
    result.assert_outcomes(passed=1)
    assert not (project.path / "runs").exists()


@pytest.mark.parametrize("testpaths", ["tests", "experiments", "", ".", MANIFEST])
def test_bare_pytest_never_collects_a_manifest(project, testpaths):
    project.makeini(INI.replace("testpaths = tests", f"testpaths = {testpaths}"))
    result = project.runpytest()
    assert "demo_run" not in result.stdout.str()
    assert not (project.path / "runs").exists()


@pytest.mark.parametrize("folder", ["experiments", ".", "experiments/deep"])
def test_a_folder_that_an_argument_names_is_searched(project, folder):
    write_project(project.path / "experiments" / "deep", name="deep")
    result = project.runpytest(folder, "--collect-only", "-q")
    assert "deep_experiment.yaml::deep_run" in result.stdout.str()
    assert ("demo_run" in result.stdout.str()) == (folder != "experiments/deep")


def test_deselecting_works(project):
    result = project.runpytest("experiments", "-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not (project.path / "runs").exists()


def test_options_in_the_environment_count(project, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--experiment={MANIFEST}")
    project.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("demo_experimnt.yaml", ["no such manifest", "did you mean", MANIFEST, "tried"]),
        ("experiments/demo_exp.yaml", ["no such manifest", "did you mean", MANIFEST]),
        ("nowhere/else.yaml", ["no such manifest", "tried"]),
        ("experiments", ["that is a folder"]),
    ],
)
def test_a_manifest_that_is_not_there_is_a_wrong_call(project, name, words):
    result = project.runpytest(f"--experiment={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert all(word in result.stderr.str() for word in words)
    assert result.stderr.str().count("\n") <= 2
    check_clean(result)


# --- looking without running


@pytest.mark.parametrize("overridden", [False, True])
def test_collect_only_reads_no_answers_and_sends_nothing(project, overridden):
    (project.path / "experiments" / "demo_data" / "mock_responses.json").write_text("{", "utf-8")
    if overridden:
        code = "@pytest.fixture(scope='module')\ndef model_client():\n    raise AssertionError\n"
        add_client(project, code)
    result = project.runpytest(f"--experiment={MANIFEST}", "--collect-only")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["client: *", "*demo_run*"])
    assert not (project.path / "runs").exists()


HEAVY = """
import sys
def pytest_unconfigure():
    heavy = {"anthropic", "httpx2", "rich", "jsonschema", "yaml", "asyncio", "genai_prices"}
    print("LOADED", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [(["tests"], "[]"), ([f"--experiment={MANIFEST}"], "['asyncio', 'rich', 'yaml']")],
)
def test_heavy_modules_are_loaded_where_they_are_needed(project, monkeypatch, words, loaded):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    project.makeconftest(HEAVY)
    result = project.runpytest_subprocess("-p", "pytest_experiment_profiler.plugin", *words)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"LOADED {loaded.replace('[', '[[]')}"])


# --- manifests that are wrong


def spoil(project, name="bad"):
    return write_project(project.path / "experiments", name=name, temperature="0.2", max_tokens=0)


def test_a_bad_manifest_is_told_and_the_others_run(project):
    spoil(project)
    result = project.runpytest("experiments")
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*bad_experiment.yaml:3:13: max_tokens must be a whole number from 1 to *, not 0",
            "*bad_experiment.yaml:5:14: temperature must be a number from 0 to 1, not the text*",
        ]
    )
    assert read_summary(project)["status"] == "complete"
    check_clean(result)


def test_a_bad_manifest_alone_is_exit_1(project):
    manifest = spoil(project)
    result = project.runpytest(f"--experiment={manifest.relative_to(project.path)}")
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "Interrupted" not in result.stdout.str()


def test_a_broken_test_module_still_interrupts(project):
    (project.path / "tests" / "test_broken.py").write_text("def", "utf-8")
    for words in (["experiments", "tests"], [f"--experiment={MANIFEST}", "tests"]):
        assert project.runpytest(*words).ret == pytest.ExitCode.INTERRUPTED
    spoil(project)
    assert project.runpytest("experiments", "tests").ret == pytest.ExitCode.INTERRUPTED
    assert not (project.path / "runs").exists()


def test_two_manifests_with_one_id_do_not_share_a_folder(project):
    text = (project.path / MANIFEST).read_text("utf-8")
    (project.path / "experiments" / "twin_experiment.yaml").write_text(text, "utf-8")
    result = project.runpytest("experiments")
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*twin_experiment.yaml:1:16: experiment_id 'demo_run' is taken by *demo_experiment.yaml*"]
    )
    check_clean(result)


def test_an_id_that_is_taken_is_told_beside_other_problems(project):
    text = (project.path / MANIFEST).read_text("utf-8") + "modle: x\n"
    (project.path / "experiments" / "twin_experiment.yaml").write_text(text, "utf-8")
    result = project.runpytest("experiments")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*twin_experiment.yaml:1:16: experiment_id 'demo_run' is taken by *",
            "*twin_experiment.yaml:*:1: unknown key 'modle' (did you mean 'model'?)*",
        ]
    )


def test_a_dataset_that_breaks_after_collection_is_told(project):
    add_client(
        project,
        """
import pathlib
@pytest.fixture(scope="module")
def model_client():
    path = pathlib.Path("experiments/demo_data/dialogues.json")
    path.write_text(path.read_text()[:-40])
    class Client:
        def complete(self, prompt):
            return Reply(text="x")
    return Client()
""",
    )
    result = project.runpytest(f"--experiment={MANIFEST}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "dialogues.json:4" in result.stdout.str()
    check_clean(result)


# --- words outside the current folder


@pytest.mark.parametrize("option", ["--experiment-output", "--experiment", "--experiment-client"])
@pytest.mark.parametrize("there", [True, False])
def test_a_separate_word_outside_the_folder_is_refused(project, tmp_path_factory, option, there):
    outside = tmp_path_factory.mktemp("outside") / "runs"
    if there:
        outside.mkdir()
    result = project.runpytest("--experiment", MANIFEST, option, str(outside))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"write {option}={outside} in one word" in result.stderr.str()
    assert not (project.path / "runs").exists()


def test_the_folder_above_is_outside(project):
    result = project.runpytest("--experiment", MANIFEST, "--experiment-output", "..")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "write --experiment-output=.. in one word" in result.stderr.str()


def test_a_link_in_the_folder_is_inside(project, tmp_path_factory):
    (project.path / "out").symlink_to(tmp_path_factory.mktemp("outside"))
    words = ["--experiment", MANIFEST, "--experiment-output", "out/deep"]
    project.runpytest(*words).assert_outcomes(passed=1)


def test_the_home_folder_may_be_written_as_a_tilde(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project.path / "home"))
    monkeypatch.setenv("USERPROFILE", str(project.path / "home"))
    project.runpytest(f"--experiment={MANIFEST}", "--experiment-output=~/out")
    assert read_summary(project, output="home/out")["status"] == "complete"


@pytest.mark.parametrize("client", ["mok", "", "no/folder"])
def test_a_client_that_is_none_is_a_wrong_call(project, client):
    result = project.runpytest(f"--experiment={MANIFEST}", f"--experiment-client={client}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = f"--experiment-client: {client!r} is none of auto, anthropic, mock and no run folder"
    hint = " (did you mean 'mock'?)" if client == "mok" else ""
    assert said + hint in result.stderr.str()
    assert not (project.path / "runs").exists()


def test_one_word_outside_the_folder_is_fine(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    result = project.runpytest(f"--experiment={MANIFEST}", f"--experiment-output={outside}")
    result.assert_outcomes(passed=1)
    assert (outside / "demo_run" / "summary.json").exists()


def test_a_separate_word_inside_the_folder_is_fine(project):
    words = ["--experiment", MANIFEST, "--experiment-output", "out/deep"]
    for _ in range(2):
        project.runpytest(*words).assert_outcomes(passed=1)
    assert read_summary(project, output="out/deep")["status"] == "complete"


# --- clients


def test_auto_with_nothing_fails_in_set_up_and_says_what_to_do(project):
    (project.path / "experiments" / "demo_data" / "mock_responses.json").unlink()
    result = project.runpytest(f"--experiment={MANIFEST}")
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*set ANTHROPIC_API_KEY for the real API, or write *"])
    assert not (project.path / "runs" / "demo_run" / "responses.jsonl").exists()
    check_clean(result)


def test_the_mock_may_be_asked_for_in_spite_of_a_key(project, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-0123456789")
    result = project.runpytest(f"--experiment={MANIFEST}", "--experiment-client=mock")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["client: mock (asked for)"])
    kept = [path.read_text("utf-8") for path in (project.path / "runs" / "demo_run").iterdir()]
    assert "sk-secret" not in result.stdout.str() + "".join(kept)


def test_a_key_means_the_real_api(project, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-0123456789")
    result = project.runpytest(f"--experiment={MANIFEST}", "--collect-only")
    result.stdout.fnmatch_lines(["client: anthropic (claude-haiku-4-5)"])


def test_a_foreign_base_url_is_told(project, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-0123456789")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    result = project.runpytest(f"--experiment={MANIFEST}", "--collect-only")
    result.stdout.fnmatch_lines(["client: anthropic (claude-haiku-4-5) at http://127.0.0.1:9"])


def test_a_client_that_nobody_knows_is_told(project):
    result = project.runpytest(f"--experiment={MANIFEST}", "--experiment-client=nobody")
    assert result.ret in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.USAGE_ERROR}
    assert "nobody" in result.stdout.str() + result.stderr.str()
    assert not (project.path / "runs" / "demo_run" / "responses.jsonl").exists()
    check_clean(result)


CLIENTS = {
    "plain": "def complete(self, prompt):",
    "async": "async def complete(self, prompt):",
}


@pytest.mark.parametrize("scope", ["module", "package", "session"])
@pytest.mark.parametrize("kind", CLIENTS)
def test_the_client_may_be_ones_own(project, kind, scope):
    add_client(
        project,
        f"""
class Local:
    {CLIENTS[kind]}
        assert isinstance(prompt, Prompt)
        return Reply(text=f"{{prompt.messages[-1].content}} {ANSWERS}")

@pytest.fixture(scope={scope!r})
def model_client():
    return Local()
""",
        "experiments",
    )
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(passed=1)
    assert read_summary(project)["client"] == "Local"
    [first, *_] = read_lines(project.path / "runs" / "demo_run" / "responses.jsonl")
    assert first["completion"] == f"Question 0? {ANSWERS}"


def test_an_override_is_told_in_the_first_line(project):
    add_client(project, "@pytest.fixture(scope='module')\ndef model_client(): pass\n")
    result = project.runpytest(f"--experiment={MANIFEST}", "--collect-only")
    [line] = [line for line in result.outlines if line.startswith("client: ")]
    assert "model_client" in line
    assert "conftest.py" in line


ECHO = """
class Echo:
    def complete(self, prompt):
        return Reply(text=prompt.messages[-1].content)

@pytest.fixture(scope="module")
def model_client():
    return Echo()
"""


def test_of_several_overrides_the_nearest_is_told(project):
    for folder in (".", "experiments"):
        add_client(project, ECHO, folder)
    project.path.joinpath("other").mkdir()
    add_client(project, ECHO, "other")
    result = project.runpytest(f"--experiment={MANIFEST}")
    told = "model_client of experiments/conftest.py"
    assert f"client: {told}" in result.outlines
    run = json.loads((project.path / "runs" / "demo_run" / "run.json").read_text("utf-8"))
    assert (run["client"], run["client_why"]) == ("Echo", told)


def test_an_override_of_a_plugin_is_told(project):
    head = "import pytest\nfrom pytest_experiment_profiler import Reply\n"
    project.makepyfile(echo_client=head + ECHO)
    project.syspathinsert()
    project.makeconftest("pytest_plugins = ['echo_client']")
    result = project.runpytest(f"--experiment={MANIFEST}")
    assert "client: model_client of echo_client" in result.outlines
    assert read_summary(project)["client"] == "Echo"


def test_the_client_may_wrap_the_plugins(project):
    add_client(
        project,
        """
class Loud:
    def __init__(self, inner):
        self.inner = inner
    async def complete(self, prompt):
        reply = await self.inner.complete(prompt)
        return Reply(text=reply.text.upper())

@pytest.fixture(scope="module")
def model_client(model_client):
    return Loud(model_client)
""",
    )
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(passed=1)
    [first, *_] = read_lines(project.path / "runs" / "demo_run" / "responses.jsonl")
    assert first["completion"] == "IT IS FACT0."


def test_a_client_of_the_session_is_closed_once(project):
    write_project(project.path / "experiments", name="other")
    add_client(
        project,
        """
class Local:
    async def complete(self, prompt):
        return Reply(text="x")
    async def aclose(self):
        print("CLOSED")

@pytest.fixture(scope="session")
def model_client():
    return Local()
""",
    )
    result = project.runpytest("experiments", "-s")
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("CLOSED") == 1


BROKEN_CLIENTS = {
    "raises": ("raise RuntimeError('no model here')", "no model here"),
    "is none": ("return None", "complete"),
    "has no complete": ("return object()", "complete"),
    "is a class": ("return type('Local', (), {'complete': 7})()", "complete"),
}


@pytest.mark.parametrize("name", BROKEN_CLIENTS)
def test_a_client_that_is_none_is_told(project, name):
    code, word = BROKEN_CLIENTS[name]
    add_client(project, f"@pytest.fixture(scope='module')\ndef model_client():\n    {code}\n")
    result = project.runpytest(f"--experiment={MANIFEST}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert word in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()
    assert "engine.py" not in result.stdout.str()


def test_a_client_may_skip(project):
    code = "@pytest.fixture(scope='module')\ndef model_client():\n    pytest.skip('no model')\n"
    add_client(project, code)
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(skipped=1)
    assert not (project.path / "runs").exists()


def test_a_client_of_too_narrow_a_scope_is_told(project):
    add_client(project, "@pytest.fixture\ndef model_client():\n    return None\n")
    result = project.runpytest(f"--experiment={MANIFEST}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ScopeMismatch*function scoped fixture model_client*"])


# --- hooks

HOOKS = """
def pytest_experiment_metrics():
    return {"length": lambda transcript: float(len(transcript.text))}

def pytest_experiment_dialogue(experiment, transcript):
    print("HEARD", experiment.experiment_id, transcript.dialogue.dialogue_id)

def pytest_experiment_summary(experiment, summary):
    print("SUMMED", experiment.experiment_id, summary["length"])
    summary["judge"] = "me"
"""


def test_the_three_hooks(project):
    add_client(project, HOOKS)
    result = project.runpytest(f"--experiment={MANIFEST}", "-s")
    result.assert_outcomes(passed=1)
    heard = [line for line in result.outlines if "HEARD" in line or "SUMMED" in line]
    assert [line[line.index("HEARD") :] for line in heard[:-1]] == [
        f"HEARD demo_run d{n}" for n in range(3)
    ]
    assert heard[-1].endswith("SUMMED demo_run 12.0")
    summary = read_summary(project)
    assert (summary["length"], summary["judge"]) == (12.0, "me")
    result.stdout.fnmatch_lines(["│ length         │ 12.0000 │"])


def test_a_hook_adds_keys_to_a_summary_and_leaves_ours(project):
    spoil = """
def pytest_experiment_summary(summary):
    summary["counts"].clear()
    del summary["metrics"]
    summary["fact_coverage"] = 7
    summary["judge"] = object
"""
    add_client(project, spoil)
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(passed=1)
    summary = read_summary(project)
    assert summary["counts"]["dialogues"] == 3
    assert summary["metrics"]
    assert summary["fact_coverage"] != 7
    assert summary["judge"] == "<class 'object'>"


def test_hooks_of_a_folder_are_for_its_manifests(project):
    write_project(project.path / "experiments" / "deep", name="deep")
    add_client(project, HOOKS, "experiments/deep")
    project.runpytest("experiments").assert_outcomes(passed=2)
    assert "length" in read_summary(project, "deep_run")
    assert "length" not in read_summary(project)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *(
            (f"{{{name!r}: len}}", f"can't be named '{name}'")
            for name in ("fact_coverage", "counts", "geometric_mean", "outcome", "max_error_rate")
        ),
        ("{1: len}", "name is a word, not 1"),
        ("{'a\\nb': len}", r"name is a word, not 'a\nb'"),
        ("{'words': 5}", "the own metric 'words' is no function"),
        ("[len]", "gives functions by name, not list"),
    ],
)
def test_what_cannot_be_an_own_metric_is_refused_before_a_call(project, given, said):
    add_client(project, f"def pytest_experiment_metrics():\n    return {given}\n")
    result = project.runpytest(f"--experiment={MANIFEST}")
    result.assert_outcomes(errors=1)
    assert said in result.stdout.str()
    check_clean(result)
    assert not (project.path / "runs").exists()


def test_gates_name_metrics_that_are_there(project):
    gates = {"length": {"min": 13, "max": 100}, "lengt": {"min": 1}}
    write_project(project.path / "gated", gates=gates)
    add_client(project, HOOKS, "gated")
    result = project.runpytest("gated")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*there is no metric 'lengt' (did you mean 'length'[?])*"])
    check_clean(result)
    del gates["lengt"]
    shutil.rmtree(project.path / "gated" / "demo_data")
    write_project(project.path / "gated", gates=gates)
    result = project.runpytest("gated")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["gate: length 12.0000 is below its minimum of 13"])


def test_an_own_metric_takes_the_place_of_the_refusal_reader(project):
    hook = 'return {"refusal_rate": lambda transcript: "fact1" in transcript.text}'
    add_client(project, f"def pytest_experiment_metrics():\n    {hook}\n")
    answers = project.path / "experiments" / "demo_data" / "mock_responses.json"
    answers.write_text('{"d0": "fact0", "d1": "fact1", "d2": "I can\'t help with that."}', "utf-8")
    words = [f"--experiment={MANIFEST}", "--experiment-client=mock"]
    project.runpytest(*words).assert_outcomes(passed=1)
    summary = read_summary(project)
    assert (summary["refusal_rate"], summary["provenance"]["detector"]) == (1 / 3, "own")
    assert summary["geometric_mean"] == pytest.approx(2 / 3)
    shutil.move(project.path / "runs" / "demo_run", project.path / "own")
    (project.path / "conftest.py").unlink()
    result = project.runpytest(*words, "--experiment-baseline=own")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*refusal_rate was scored with another detector*"])


def test_an_empty_name_of_a_baseline_is_not_taken_for_none(project):
    result = project.runpytest(f"--experiment={MANIFEST}", "--experiment-baseline=")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*is no baseline: no whole run folder*"])
    assert not (project.path / "runs").exists()


def test_a_metric_that_fails_is_told_below_the_table(project):
    add_client(project, "def pytest_experiment_metrics():\n    return {'odd': lambda t: 1 / 0}\n")
    result = project.runpytest(f"--experiment={MANIFEST}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*│ odd *n/a │", "odd: n/a*ZeroDivisionError*"])


@pytest.mark.parametrize("hook", ["dialogue(experiment, transcript)", "summary(summary)"])
def test_a_hook_that_fails_is_the_users_to_see_and_loses_nothing(project, hook):
    add_client(project, f"def pytest_experiment_{hook}:\n    raise ValueError('my own')\n")
    result = project.runpytest(f"--experiment={MANIFEST}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ValueError: my own*"])
    assert "INTERNALERROR" not in result.stdout.str()
    assert len(read_lines(project.path / "runs" / "demo_run" / "responses.jsonl")) == 3
    assert read_summary(project)["counts"]["calls"] == 3


# --- dialogues that fail


def fail_one(project, message="busy"):
    error = {"status": 400, "type": "invalid_request_error", "message": message}
    answers = {"d0": "fact0", "d1": {"completion": "x", "error": error}, "d2": "fact2"}
    path = project.path / "experiments" / "demo_data" / "mock_responses.json"
    path.write_text(json.dumps(answers), "utf-8")


def test_a_failed_dialogue_says_all_that_helps(project):
    fail_one(project)
    result = project.runpytest(f"--experiment={MANIFEST}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "dialogue d1",
            "*dialogues.json:3",
            "turn 0, user: Question 1[?]",
            "error: invalid_request_error: busy",
            "1 of 3 dialogues failed",
        ]
    )
    check_clean(result)
    assert read_summary(project)["counts"]["errors"] == 1
    assert read_summary(project)["fact_coverage"] == 1.0


def test_hostile_text_is_shown_not_obeyed(project):
    fail_one(project, "\x1b]0;title\x07 [bold red] \u202e \ud800")
    result = project.runpytest(f"--experiment={MANIFEST}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = result.stdout.str()
    assert r"\x1b]0;title\x07 [bold red] \u202e \ud800" in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


TELLTALE = """
import os

KEY = os.environ["ANTHROPIC_API_KEY"]


class Telltale:
    def complete(self, prompt):
        if prompt.dialogue_id == "d1":
            raise ClientError("bad key " + KEY)
        text = KEY + "".join(message.content for message in prompt.messages)
        return Reply(text=text, request_id=KEY, model=KEY, metadata={"key": KEY})


@pytest.fixture(scope="module")
def model_client():
    return Telltale()


def pytest_experiment_metrics():
    return {"own": lambda transcript: KEY.nothing}
"""


def test_a_key_stands_in_no_file_and_not_on_the_screen(pytester, monkeypatch):
    key = "sk-ant-api03-very-secret"
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    rows: list[dict[str, object]] = [
        {"dialogue_id": "d0", "turns": ["One?", "Two?"], "required_facts": ["fact0"]},
        {"dialogue_id": "d1", "user": "Why?"},
    ]
    gates = {"dialogue": {"fact_coverage": {"min": 0.5}}}
    manifest = write_project(pytester.path, rows, {}, gates=gates, system=f"Keep {key}.")
    add_client(pytester, TELLTALE)
    words = ["--junitxml=junit.xml", "--experiment-html=page.html"]
    result = pytester.runpytest(manifest.name, *words)
    assert key not in result.stdout.str() + result.stderr.str()
    assert result.stdout.str().count("[redacted]") > 3
    files = [path for path in pytester.path.rglob("*") if path.is_file() and path != manifest]
    assert {"junit.xml", "page.html", "step.md", "summary.json"} <= {path.name for path in files}
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def test_measuring_alone_never_fails(project):
    answers = {f"d{n}": "I'm sorry, but I can't help with that." for n in range(3)}
    path = project.path / "experiments" / "demo_data" / "mock_responses.json"
    path.write_text(json.dumps(answers), "utf-8")
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(passed=1)
    summary = read_summary(project)
    assert (summary["fact_coverage"], summary["refusal_rate"]) == (0.0, 1.0)


def test_an_answer_that_is_missing_is_its_dialogues_error(project):
    path = project.path / "experiments" / "demo_data" / "mock_responses.json"
    path.write_text(json.dumps({"d0": "fact0", "d2": "fact2"}), "utf-8")
    result = project.runpytest(f"--experiment={MANIFEST}")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["error: no_mock_answer: no mock answer for this dialogue*"])
    assert read_summary(project)["counts"]["calls"] == 3


def test_broken_mock_answers_fail_in_set_up(project):
    path = project.path / "experiments" / "demo_data" / "mock_responses.json"
    path.write_text("{", "utf-8")
    result = project.runpytest(f"--experiment={MANIFEST}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*mock_responses.json can't be read*"])
    check_clean(result)


def test_dialogues_that_were_not_run_fail_the_item(project):
    add_client(
        project,
        """
class Locked:
    async def complete(self, prompt):
        raise ClientError("wrong key", kind="authentication_error", scope="run")

@pytest.fixture(scope="module")
def model_client():
    return Locked()
""",
    )
    manifest = write_project(project.path / "experiments", 20, {}, name="big", concurrency=1)
    result = project.runpytest(f"--experiment={manifest.relative_to(project.path)}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*19 of 20 dialogues were not run: *wrong key*"])
    result.assert_outcomes(failed=2)
    check_clean(result)


def test_x_stops_new_calls(project):
    answers = {f"d{n}": {"completion": "x", "delay_s": 0.05} for n in range(1, 200)}
    manifest = write_project(project.path / "experiments", 200, answers, name="big", concurrency=1)
    result = project.runpytest("-x", f"--experiment={manifest.relative_to(project.path)}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    check_clean(result)
    calls = len(read_lines(project.path / "runs" / "big_run" / "responses.jsonl"))
    summary = read_summary(project, "big_run")
    assert calls == summary["counts"]["calls"] < 200
    assert (summary["status"], summary["counts"]["not_run"]) == ("partial", 200 - calls)


INTERRUPT = """
import os, signal

def pytest_experiment_dialogue(transcript):
    if transcript.dialogue.dialogue_id == "d1":
        os.kill(os.getpid(), signal.SIGINT)

class Local:
    def complete(self, prompt):
        return Reply(text=prompt.dialogue_id)

@pytest.fixture(scope="module")
def model_client():
    return Local()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_keeps_what_was_answered(project):
    add_client(project, INTERRUPT)
    manifest = write_project(project.path / "experiments", 5, {}, name="big", concurrency=1)
    result = project.runpytest_subprocess(f"--experiment={manifest.relative_to(project.path)}")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "interrupted" in result.stdout.str()
    lines = read_lines(project.path / "runs" / "big_run" / "responses.jsonl")
    assert [line["completion"] for line in lines][:2] == ["d0", "d1"]
    assert read_summary(project, "big_run")["counts"]["calls"] == len(lines)


# --- what is told and left


def copy_sample(project):
    shutil.copytree(SAMPLE, project.path / "experiments", dirs_exist_ok=True)


def test_the_sample_prints_the_table_of_the_contract(project, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    copy_sample(project)
    result = project.runpytest_subprocess(
        "-W", "error", "--experiment", "configs/sample_experiment.yaml"
    )
    result.assert_outcomes(passed=1)
    assert f"\n{TABLE}\n" in result.stdout.str()
    assert result.stderr.str() == ""


def test_a_terminal_that_lacks_characters_gets_plain_ones(project, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    copy_sample(project)
    result = project.runpytest_subprocess("--experiment", "configs/sample_experiment.yaml")
    result.assert_outcomes(passed=1)
    assert "| fact_coverage  | 0.8889 |" in result.stdout.str()


def test_the_title_is_never_wrapped(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "x" * 96
    manifest = write_project(project.path / "experiments", name=name)
    result = project.runpytest(f"--experiment={manifest.relative_to(project.path)}")
    result.assert_outcomes(passed=1)
    assert f"\n({name}_run)\n" in result.stdout.str()


def test_the_files_of_the_contract_are_left(project):
    project.runpytest(f"--experiment={MANIFEST}")
    folder = project.path / "runs" / "demo_run"
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == set(FILES)
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert (run["client"], run["selection"]["selected"]) == ("mock", 3)
    assert run["client_why"] == "no credentials"
    assert run["provenance"]["manifest_sha256"]
    [request, *_] = read_lines(folder / "requests.jsonl")
    assert request["prompt"] == {"system": None, "user": "Question 0?"}
    [score, *_] = read_lines(folder / "scores.jsonl")
    assert (score["outcome"], score["fact_coverage"]) == ("ok", 1.0)
    assert score["facts"] == [{"fact": "fact0", "found": True, "matched": "fact0"}]
    assert score["refusal"][0]["label"] == "none"
    [dialogue, *_] = read_lines(folder / "dialogues.jsonl")
    assert (dialogue["dialogue_id"], dialogue["user"]) == ("d0", "Question 0?")


def test_answers_of_a_real_model_are_never_destroyed(project):
    add_client(
        project,
        """
class Local:
    def complete(self, prompt):
        return Reply(text="paid")

@pytest.fixture(scope="module")
def model_client():
    return Local()
""",
    )
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(passed=1)
    (project.path / "conftest.py").unlink()
    project.runpytest(f"--experiment={MANIFEST}").assert_outcomes(passed=1)
    assert read_summary(project)["client"] == "mock"
    [kept] = (project.path / "runs" / "demo_run" / "history").iterdir()
    assert {line["completion"] for line in read_lines(kept / "responses.jsonl")} == {"paid"}


def test_an_output_folder_that_cannot_be_made_sends_nothing(project):
    (project.path / "file").write_text("", "utf-8")
    result = project.runpytest(f"--experiment={MANIFEST}", "--experiment-output=file")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*can't be used as a run folder*--experiment-output=DIR*"])
    check_clean(result)


@pytest.mark.parametrize(("spoilt", "code"), [(False, 0), (True, 1)])
def test_it_works_without_a_terminal(project, spoilt, code):
    if spoilt:
        fail_one(project)
    result = project.runpytest_subprocess(f"--experiment={MANIFEST}", "-p", "no:terminal")
    assert result.ret == code
    assert read_summary(project)["counts"]["errors"] == int(spoilt)


def test_verbosity_shows_each_dialogue(project):
    result = project.runpytest(f"--experiment={MANIFEST}", "-v")
    for number in range(3):
        result.stdout.fnmatch_lines([f"*demo_run SUBPASSED[[]d{number}]*"])


def test_other_tests_beside_it_are_not_disturbed(project):
    (project.path / "tests" / "test_loop.py").write_text(
        "import asyncio, threading\n"
        "async def add(): return 2\n"
        "def test_loop(): assert asyncio.run(add()) == 2\n"
        "def test_threads(): assert threading.active_count() < 20\n",
        "utf-8",
    )
    project.runpytest("experiments", "tests").assert_outcomes(passed=4)
