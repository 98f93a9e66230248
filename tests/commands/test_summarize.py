"""`summarize`: gates decided later, scores written anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_experiment_profiler.metrics.definitions import name_definitions
from tests.builders import read_lines
from tests.commands.conftest import read_summary

# --- gates from a file


@pytest.fixture
def judge(shell, tmp_path):
    """Hold a run folder against gates of a file."""

    def run(folder, text):
        (tmp_path / "gates.yaml").write_text(text, "utf-8")
        return shell("summarize", "--log-dir", folder, "--gates", "gates.yaml")

    return run


def test_gates_are_taken_from_a_manifest_as_well(run_folder, judge):
    folder = run_folder("a", 10, wrong=2)
    manifest = "experiment_id: demo_run\nmodel: m\n"

    code, out, _ = judge(folder, f"{manifest}gates: {{fact_coverage: {{min: 0.9}}}}")
    assert code == 1
    assert "gate failed: fact_coverage 0.8000 is below its minimum of 0.9" in out
    code, out, err = judge(folder, manifest)
    assert (code, out) == (2, "")
    assert err == "gates.yaml:1:1: required key 'gates' is missing\n"


def test_gates_are_decided_later(run_folder, judge):
    folder = run_folder("a", 10, wrong=2)
    before = (folder / "summary.json").read_bytes()

    passed = judge(folder, "gates: {fact_coverage: {min: 0.8}}")
    failed = judge(folder, "gates: {fact_coverage: {min_lower_bound: 0.8}, refusal_rate: {max: 0}}")

    assert (passed.code, failed.code) == (0, 1)
    assert "gate passed: fact_coverage 0.8000 reaches its minimum of 0.8\n" in passed.out
    lines = [line for line in failed.out.splitlines() if line.startswith("gate ")]
    assert lines == [
        "gate failed: lower bound of fact_coverage 0.4902 is below its minimum of 0.8",
        "gate passed: refusal_rate 0.0000 stays within its maximum of 0",
        "gate passed: error_rate 0.0000 stays within its maximum of 0",
    ]
    assert (folder / "summary.json").read_bytes() == before


def test_gates_on_single_dialogues_are_decided_later_too(run_folder, judge):
    folder = run_folder("a", 3, wrong=1)
    code, _, err = judge(folder, "gates: {dialogue: {fact_coverage: {min: 0.5}}}")

    assert code == 1
    assert err == "dialogue d0: gate: fact_coverage 0.0000 is below its minimum of 0.5\n"
    assert judge(folder, "gates: {dialogue: {geometric_mean: {max: 1}}}").code == 0


def test_errors_fail_any_gate_unless_they_are_allowed(run_folder, judge):
    folder = run_folder("a", 4, answers={"d0": "Paris", "d1": "Paris", "d2": "Paris"})

    assert judge(folder, "gates: {fact_coverage: {min: 0}}").code == 1
    assert judge(folder, "gates: {fact_coverage: {min: 0}, max_error_rate: 0.25}").code == 0


def test_a_regression_is_judged_by_the_comparison_of_the_run(shell, run_folder, judge, tmp_path):
    folder = run_folder("a", 8)
    run_folder("b", 8, wrong=6)
    words = ["--config", tmp_path / "b" / "demo_experiment.yaml", "--output-dir", "new"]
    shell("run", *words, "--baseline", folder)

    failed = judge("new/demo_run", "gates: {fact_coverage: {no_regression: {margin: 0.03}}}")
    shared = judge(
        "new/demo_run",
        "gates: {fact_coverage: {no_regression: {margin: 0.03}}, refusal_rate: {max: 1},"
        " geometric_mean: {min: 0}}",
    )

    assert failed.code == 1
    assert "margin 0.03: worse\n" in failed.out
    assert shared.code == 0  # three gates share the risk, and .0313 is too much of it
    assert "adjusted 0.0938" in shared.out


def test_without_a_comparison_a_regression_is_open(run_folder, judge):
    gates = "gates: {fact_coverage: {no_regression: {margin: 0.03}}, inconclusive: %s}"
    folder = run_folder("a")

    assert judge(folder, gates % "warn").code == 0
    assert judge(folder, gates % "fail").code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "gates.yaml:1:1: the file is empty"),
        ("gates: {}", "gates.yaml:1:8: gates must be a mapping of metrics to limits"),
        ("fact_coverage: {min: 1}", "required key 'gates' is missing"),
        ("gates: {fact_coverage: {mim: 1}}", "1:25: unknown key 'mim' (did you mean 'min'?)"),
        ("gates: {fact_cov: {min: 1}}", "there is no metric 'fact_cov' (did you mean"),
        ("gates: {words: {min: 1}}", "there is no metric 'words'; allowed: "),
        ("gates: {dialogue: {refusals: {max: 1}}}", "1:20: there is no metric 'refusals'"),
        ("gates: [", "gates.yaml:2:1: not YAML"),
    ],
)
def test_a_wrong_file_of_gates(run_folder, judge, text, said):
    code, out, err = judge(run_folder("a"), text)

    assert (code, out) == (2, "")
    assert said in err


def test_no_file_of_gates(shell, run_folder):
    code, out, err = shell("summarize", "--log-dir", run_folder("a"), "--gates", "none.yaml")

    assert (code, out) == (2, "")
    assert err.startswith("none.yaml:1:1: can't be read")


def test_gates_judge_whole_runs_only(run_folder, judge):
    folder = run_folder("b", 3)
    responses = folder / "responses.jsonl"
    responses.write_bytes(b"".join(responses.read_bytes().splitlines(keepends=True)[:2]))
    code, out, err = judge(folder, "gates: {fact_coverage: {min: 0}}")

    assert (code, out) == (2, "")
    assert err.startswith("gates judge whole runs")


# --- rescoring


def test_rescoring_writes_what_todays_definitions_say(shell, run_folder):
    folder = run_folder("a", 3, wrong=1)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    scores = read_lines(folder / "scores.jsonl")
    for score in scores:
        score["fact_coverage"], score["facts"] = 0.0, []
    (folder / "scores.jsonl").write_text("".join(json.dumps(s) + "\n" for s in scores))
    summary = read_summary(folder) | {"fact_coverage": 0.0}
    (folder / "summary.json").write_text(json.dumps(summary))

    code, out, err = shell("summarize", "--log-dir", folder, "--rescore")

    assert code == 0
    assert "│ fact_coverage  │ 0.6667 │" in out
    assert err == f"rescored {folder} by the definitions {name_definitions()}\n"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept


def test_rescoring_keeps_what_it_cannot_know(shell, run_folder):
    folder = run_folder("a")
    summary = read_summary(folder)
    summary["counts"]["reused"] = 2
    (folder / "summary.json").write_text(json.dumps(summary | {"judge": "me"}))

    _, out, _ = shell("summarize", "--log-dir", folder, "--rescore")

    assert "taken over from an earlier part: 2 answers, asked now: 1" in out
    after = read_summary(folder)
    assert (after["counts"]["reused"], after["judge"]) == (2, "me")


def test_a_run_that_was_killed_gets_its_scores(shell, run_folder):
    folder = run_folder("a")
    before = (folder / "scores.jsonl").read_bytes()
    (folder / "scores.jsonl").unlink()
    (folder / "summary.json").unlink()

    shell("summarize", "--log-dir", folder, "--rescore")

    assert (folder / "scores.jsonl").read_bytes() == before
    assert read_summary(folder)["status"] == "complete"


def test_a_comparison_by_other_definitions_is_given_up(shell, run_folder, tmp_path):
    baseline = run_folder("a", 8)
    words = ["--config", tmp_path / "a" / "demo_experiment.yaml", "--output-dir", "new"]
    shell("run", *words, "--baseline", baseline)
    path = tmp_path / "new" / "demo_run" / "summary.json"

    kept = shell("summarize", "--log-dir", path.parent, "--rescore")
    summary = read_summary(path.parent)
    assert f"compared with {baseline}: 8 pairs of dialogues" in kept.out
    assert summary["comparison"] is not None

    summary["provenance"]["definitions_version"] = "older"
    path.write_text(json.dumps(summary))
    _, out, err = shell("summarize", "--log-dir", path.parent, "--rescore")
    assert "compared with" not in out
    assert f"no longer compared with {baseline}: that was by other definitions\n" in err
    assert read_summary(path.parent)["comparison"] is None


def test_own_metrics_are_read_from_the_scores(shell, run_folder):
    folder = run_folder("a", 3)
    scores = read_lines(folder / "scores.jsonl")
    own: list[dict[str, Any]] = [{"words": 3.0}, {"words": None}, {}]
    own[1]["metric_errors"] = {"odd": "ValueError: no"}
    for score, values in zip(scores, own, strict=True):
        score.update(share=[1.0, 4.0], odd=None, **values)
    (folder / "scores.jsonl").write_text("".join(json.dumps(s) + "\n" for s in scores))

    _, out, _ = shell("summarize", "--log-dir", folder, "--rescore")

    summary = read_summary(folder)
    assert (summary["words"], summary["share"], summary["odd"]) == (3.0, 0.25, None)
    assert summary["metric_errors"] == {"odd": "d1: ValueError: no"}
    assert summary["intervals"]["odd"] is None
    assert summary["no_interval"]["odd"] == "the metric failed"
    assert "odd: n/a, it failed: d1: ValueError: no\n" in out
    assert read_lines(folder / "scores.jsonl")[1]["metric_errors"] == {"odd": "ValueError: no"}


def test_what_is_no_value_in_the_scores_is_told(shell, run_folder):
    folder = run_folder("a")
    path = folder / "scores.jsonl"
    path.write_text(path.read_text("utf-8").replace("}\n", ', "words": "many"}\n'), "utf-8")
    code, _, err = shell("summarize", "--log-dir", folder)

    assert code == 2
    assert err.startswith("scores.jsonl, dialogue d0: not the value of a metric: ")


@pytest.mark.parametrize("name", ["dialogues", "requests", "responses", "scores"])
@pytest.mark.parametrize("line", ["[]", "null", '"x"', "{}", '{"dialogue_id": "d0", "repeat": 0}'])
def test_a_line_that_no_run_writes_is_told(shell, run_folder, name, line):
    whole, folder = run_folder("a"), run_folder("b")
    (folder / f"{name}.jsonl").write_text(f"{line}\n", "utf-8")

    for words in (["summarize", "--log-dir", folder], ["compare", whole, folder]):
        code, _, err = shell(*words)
        assert code in {0, 2}
        assert code == 0 or f"{name}.jsonl:1: not what a run writes" in err


@pytest.mark.parametrize(
    "wrong", [{"completion": 5}, {"completion": None}, {"stop_reason": 5}, {"usage": None}]
)
@pytest.mark.parametrize("options", [[], ["--rescore"]])
def test_an_answer_that_no_run_writes_is_told(shell, run_folder, wrong, options):
    folder = run_folder("a")
    path = folder / "responses.jsonl"
    lines = read_lines(path)
    lines[0].update(wrong)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    code, out, err = shell("summarize", "--log-dir", folder, *options)

    assert (code, out) == (2, "")
    assert f"{next(iter(wrong))}" in err
    assert "calls of dialogue 'd0': not what a run writes" in err


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, {"dialogue_id": ["d0"]}) for name in ("dialogues", "requests", "scores")),
        ("responses", {"turn": []}),
        ("scores", {"repeat": {}}),
        ("dialogues", {"tags": [["t"]]}),
        ("dialogues", {"required_facts": [["Paris", None]]}),
        ("dialogues", {"required_facts": [7]}),
        ("dialogues", {"required_facts": [{"turn": 0}]}),
    ],
)
def test_a_name_that_is_none_is_told(shell, run_folder, name, wrong):
    whole, folder = run_folder("a"), run_folder("b")
    path = folder / f"{name}.jsonl"
    lines = read_lines(path)
    lines[1].update(wrong)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    commands = (["summarize", "--log-dir", folder], ["compare", whole, folder])
    ended = [shell(*words) for words in commands]
    told = [err for code, _, err in ended if code == 2]
    assert told
    assert all(f"{name}.jsonl:2: not what a run writes" in err for err in told)
    assert {code for code, _, _ in ended} <= {0, 2}


@pytest.mark.parametrize(
    "wrong", [{"selection": []}, {"client": []}, {"provenance": 5}, {"experiment": "x"}]
)
def test_a_run_that_says_something_else_is_told(shell, run_folder, wrong):
    folder = run_folder("a")
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | wrong), "utf-8")

    code, out, err = shell("summarize", "--log-dir", folder)
    assert (code, out) == (2, "")
    assert err == f"{path} doesn't describe a run\n"


@pytest.mark.parametrize("text", ["[]", "5", "{}", '{"counts": 5}', '{"provenance": []}', "{"])
def test_a_summary_that_no_run_writes_is_made_anew(shell, run_folder, text):
    whole, folder = run_folder("a"), run_folder("b")
    before = (folder / "summary.json").read_bytes()
    (folder / "summary.json").write_text(text, "utf-8")

    assert shell("compare", whole, folder).code == 2
    assert shell("summarize", "--log-dir", folder, "--rescore").code == 0
    assert (folder / "summary.json").read_bytes() == before
