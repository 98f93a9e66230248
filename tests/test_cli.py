"""The shell command, as a user sees it: words, exit codes, files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_experiment_profiler import cli
from pytest_experiment_profiler.runfolder import FILES
from tests.builders import SAMPLE, TABLE, limit_files, read_lines, write_project

NOTES = [
    "client: mock (claude-haiku-4-5)",
    "dialogues: 3, calls: 3",
]


@pytest.fixture
def shell(monkeypatch, tmp_path, capsys):
    """Run the command in an empty folder; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def sample(tmp_path):
    return shutil.copytree(SAMPLE, tmp_path / "experiments") / "configs" / "sample_experiment.yaml"


# --- run


def test_the_sample_to_the_letter(shell, sample):
    code, out, err = shell("run", "--config", sample, "--output-dir", "out")
    lines = out.splitlines()
    assert code == 0
    assert [line for line in err.splitlines() if " | eta " not in line] == []  # a slow machine's
    assert lines[0] == "client: mock (no credentials)"
    assert "\n".join(lines[1:10]) == TABLE
    assert lines[10:12] == NOTES
    assert lines[-2:] == [
        "Completed experiment demo_run",
        "Metrics written to out/demo_run/summary.json".replace("/", os.sep),
    ]


def test_the_files_of_the_contract_are_left(shell, sample, tmp_path):
    shell("run", "--config", sample, "--output-dir", "out")
    folder = tmp_path / "out" / "demo_run"
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == set(FILES)
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["fact_coverage"] == 0.8888888888888888
    assert summary["geometric_mean"] == 0.769800358919501
    assert summary["refusal_rate"] == 0.3333333333333333
    assert (summary["client"], summary["status"]) == ("mock", "complete")


def test_runs_go_to_runs_unless_told(shell, sample, tmp_path):
    shell("run", "--config", sample)
    assert (tmp_path / "runs" / "demo_run" / "summary.json").exists()


def test_the_command_that_resumes_keeps_what_was_asked_for(shell, tmp_path):
    manifest = write_project(tmp_path, answers={"d0": "fact0"})
    shell("run", "--config", manifest, "--output-dir", "before")
    words = ["--client", "mock", "--budget-usd", "0.5", "--baseline", "before/demo_run"]
    _, _, err = shell("run", "--config", manifest, *words, "--intersection")
    command = f"run --config {manifest} --output-dir runs --resume {' '.join(words)} --intersection"
    assert f"resume: experiment-profiler {command}" in err.splitlines()


@pytest.mark.parametrize("amount", ["0", "-1", "nan", "inf", "much"])
def test_an_amount_is_above_0(shell, tmp_path, amount):
    manifest = write_project(tmp_path)
    code, _, err = shell("run", "--config", manifest, f"--budget-usd={amount}")
    assert code == 2
    assert f"'{amount}' is no amount above 0" in err


def test_a_failed_dialogue_is_exit_1_and_told(shell, tmp_path):
    manifest = write_project(tmp_path, answers={"d0": "fact0", "d2": "fact2"})
    code, out, err = shell("run", "--config", manifest)
    assert code == 1
    assert "dialogue d1\n" in err
    assert "dialogues.json:3" in err
    assert "no_mock_answer: no mock answer for this dialogue" in err
    assert "Completed experiment demo_run" in out


def test_hostile_text_reaches_no_terminal(shell, tmp_path):
    odd = "\x1b]0;title\x07\u202e[bold]"
    rows = [{"dialogue_id": "d0", "user": f"{odd}?"}]
    answers = {"d0": {"completion": odd, "error": {"message": odd, "type": odd, "status": 400}}}
    code, out, err = shell("run", "--config", write_project(tmp_path, rows, answers))
    assert code == 1
    assert (out + err).replace("\n", "").isprintable()


WRONG = {
    "no such file": (["run", "--config", "none.yaml"], "can't be read: No such file"),
    "no config": (["run"], "--config"),
    "no command": ([], "COMMAND"),
    "no folder": (["summarize", "--log-dir", "none"], "is no run folder: it holds no run.json"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_exit_2_and_says_why(shell, name):
    words, message = WRONG[name]
    code, out, err = shell(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_an_unknown_client_is_exit_2(shell, tmp_path):
    code, _, err = shell("run", "--config", write_project(tmp_path), "--client", "nobody")
    assert code == 2
    assert "nobody" in err


def test_a_bad_manifest_is_exit_2_with_all_problems(shell, tmp_path):
    manifest = write_project(tmp_path, temperature="0.2", max_tokens=0)
    code, out, err = shell("run", "--config", manifest)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"{manifest}:3:13: max_tokens must be a whole number from 1 to 10000000, not 0",
        f"{manifest}:5:14: temperature must be a number from 0 to 1, not the text '0.2'",
    ]


def test_nothing_that_can_answer_is_exit_2(shell, tmp_path):
    code, out, err = shell("run", "--config", write_project(tmp_path, answers={}))
    assert (code, out) == (2, "")
    assert "set ANTHROPIC_API_KEY" in err


def test_broken_mock_answers_are_exit_2(shell, tmp_path):
    manifest = write_project(tmp_path)
    (tmp_path / "demo_data" / "mock_responses.json").write_text("[", "utf-8")
    code, _, err = shell("run", "--config", manifest)
    assert code == 2
    assert "mock_responses.json can't be read" in err


def test_an_output_folder_that_cannot_be_made_is_told(shell, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    code, _, err = shell("run", "--config", write_project(tmp_path), "--output-dir", "file")
    assert code == 2
    assert "can't be used as a run folder" in err
    assert "--output-dir" in err


def test_a_full_disk_is_told(shell, tmp_path):
    answers = {f"d{n}": "x" * 10_000 for n in range(20)}
    manifest = write_project(tmp_path, 20, answers, concurrency=1)
    with limit_files(55_000):
        code, _, err = shell("run", "--config", manifest)
    assert code == 1
    assert "File too large; missing there: the answer of d5" in err
    assert len(read_lines(tmp_path / "runs" / "demo_run" / "responses.jsonl")) == 5


# --- summarize


def test_summarize_says_the_same_from_the_logs_alone(shell, sample, tmp_path):
    _, out, _ = shell("run", "--config", sample, "--output-dir", "out")
    shutil.rmtree(tmp_path / "experiments")
    folder = tmp_path / "out" / "demo_run"
    (folder / "summary.json").unlink()
    code, again, err = shell("summarize", "--log-dir", folder)
    assert (code, err) == (0, "")
    assert again.splitlines() == out.splitlines()[1:-2]


def test_summarize_reads_a_run_that_was_cut_short(shell, sample, tmp_path):
    shell("run", "--config", sample, "--output-dir", "out")
    folder = tmp_path / "out" / "demo_run"
    for name in ("requests", "responses", "scores"):
        path = folder / f"{name}.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
    (folder / "summary.json").unlink()
    code, out, _ = shell("summarize", "--log-dir", folder)
    assert code == 0
    assert "not run: 1" in out


def test_summarize_touches_nothing(shell, sample, tmp_path):
    shell("run", "--config", sample, "--output-dir", "out")
    folder = tmp_path / "out" / "demo_run"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    shell("summarize", "--log-dir", folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("content", ["[]", "{}", '{"client": "mock"}', "{"])
def test_summarize_tells_a_broken_run_json(shell, tmp_path, content):
    (tmp_path / "run.json").write_text(content, "utf-8")
    code, _, err = shell("summarize", "--log-dir", tmp_path)
    assert code == 2
    assert "run.json" in err


def test_a_dialogue_that_breaks_a_gate_is_told_like_one_that_failed(shell, tmp_path):
    rows = [
        {"dialogue_id": name, "user": "Why?", "required_facts": ["rain"]}
        for name in ("good", "\u202ebad\x9b31m")
    ]
    answers = {"good": "Rain.", "\u202ebad\x9b31m": "Sun \x1b[31m."}
    gates = {"dialogue": {"fact_coverage": {"min": 0.5}}}
    manifest = write_project(tmp_path, rows, answers, gates=gates)
    code, _, err = shell("run", "--config", manifest)
    assert code == 1
    assert [line for line in err.splitlines() if not re.search("eta|latency", line)] == [
        r"dialogue \u202ebad\x9b31m",
        f"{manifest.parent / 'demo_data' / 'dialogues.json'}:3",
        "turn 0, user: Why?",
        r"answer: Sun \x1b[31m.",
        "✗ rain",
        "gate: fact_coverage 0.0000 is below its minimum of 0.5",
        f"log: {Path('runs') / 'demo_run' / 'responses.jsonl'}:2",
        "",
    ]


BROKEN = {
    "[]": ":1: not what a run writes (no object)",
    "x": ":1: not a JSON line",
    "{}": ":1: not what a run writes",
}


@pytest.mark.parametrize("name", ["requests", "responses", "dialogues", "scores"])
@pytest.mark.parametrize("line", BROKEN)
def test_summarize_tells_a_broken_line(shell, sample, name, line):
    shell("run", "--config", sample, "--output-dir", sample.parent)
    folder = sample.parent / "demo_run"
    (folder / f"{name}.jsonl").write_text(f"{line}\n", "utf-8")
    code, _, err = shell("summarize", "--log-dir", folder)
    assert code == 2
    assert BROKEN[line] in err


# --- schema


def test_schema_is_the_manifests(shell):
    code, out, _ = shell("schema")
    assert code == 0
    assert json.loads(out)["required"] == ["experiment_id", "model", "max_tokens", "dataset_path"]


LINE = b"# yaml-language-server: $schema=experiment.schema.json"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a: 1\n", LINE + b"\na: 1\n"),
        (b"a: 1\r\nb: 2\r\n", LINE + b"\r\na: 1\r\nb: 2\r\n"),
        (b"\xef\xbb\xbfa: 1\n", b"\xef\xbb\xbf" + LINE + b"\na: 1\n"),
        (LINE + b"\na: 1\n", LINE + b"\na: 1\n"),
        (b"# ours\n# yaml-language-server: $schema=old.json\na: 1", b"# ours\n" + LINE + b"\na: 1"),
    ],
)
def test_a_manifest_names_the_schema_beside_it(shell, tmp_path, before, after):
    manifest = tmp_path / "demo_experiment.yaml"
    manifest.write_bytes(before)
    for _ in range(2):
        code, out, _ = shell("schema", "--write", manifest)
        assert code == 0
        assert manifest.read_bytes() == after
    assert "experiment.schema.json written" in out
    written = json.loads((tmp_path / "experiment.schema.json").read_text("utf-8"))
    assert written["required"] == ["experiment_id", "model", "max_tokens", "dataset_path"]


def test_a_manifest_that_names_its_schema_still_runs(shell, tmp_path):
    manifest = write_project(tmp_path)
    shell("schema", "--write", manifest)
    code, _, _ = shell("run", "--config", manifest, "--output-dir", tmp_path / "runs")
    assert code == 0


def test_a_schema_beside_nothing_is_told(shell, tmp_path):
    code, _, err = shell("schema", "--write", tmp_path / "none.yaml")
    assert code == 2
    assert "none.yaml can't be read" in err
    assert list(tmp_path.iterdir()) == []


# --- as a process

SHELL = [sys.executable, "-W", "error", "-m", "pytest_experiment_profiler"]


def start_process(words, folder, **variables):
    return subprocess.Popen(
        [*SHELL, *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def test_a_terminal_that_lacks_characters_gets_plain_ones(sample, tmp_path):
    words = ["run", "--config", sample]
    with start_process(words, tmp_path, PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (out + err).isascii()
    assert "| fact_coverage  | 0.8889 |" in out


def test_a_reader_that_goes_away_is_no_traceback(sample, tmp_path):
    with start_process(["run", "--config", sample], tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_keeps_every_answer_and_exits_with_130(tmp_path):
    answers = {"d0": "It is fact0.", "d2": {"completion": "late", "delay_s": 600}, "d3": "x"}
    manifest = write_project(tmp_path, 4, answers, concurrency=1)
    with start_process(["run", "--config", manifest], tmp_path) as process:
        assert process.stderr is not None
        assert "dialogue d1\n" in process.stderr
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "│ fact_coverage  │ 1.0000 │" in out
    assert "not run: 2" in out
    assert "Completed" not in out
    folder = tmp_path / "runs" / "demo_run"
    kept = [line["dialogue_id"] for line in read_lines(folder / "responses.jsonl")]
    assert kept == ["d0", "d1"]
    assert json.loads((folder / "summary.json").read_text("utf-8"))["status"] == "partial"
