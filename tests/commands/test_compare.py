"""`compare`: two run folders, A the baseline and B the candidate."""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import read_summary


def edit_summary(folder, **changes):
    summary = read_summary(folder)
    (folder / "summary.json").write_text(json.dumps(summary | changes), "utf-8")


LOST = "{}: lost 8 (d0, d1, d2, d3, d4, d5, d6, d7)"


def test_a_worse_candidate(shell, run_folder):
    a, b = run_folder("a", 20), run_folder("b", 20, wrong=8)
    code, out, err = shell("compare", a, b)

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"compared with {a}: 20 pairs of dialogues",
        (
            "fact_coverage: 1.0000 -> 0.6000 (-0.4000, 95 % interval -0.6352 to -0.1648; p 0.0078; "
            "n = 20): worse"
        ),
        LOST.format("fact_coverage"),
        (
            "geometric_mean: 1.0000 -> 0.7746 (-0.2254, 95 % interval -0.3772 to -0.0736; "
            "p 0.0078; n = 20): worse"
        ),
        LOST.format("geometric_mean"),
        (
            "refusal_rate: 0.0000 -> 0.0000 (+0.0000, 95 % interval -0.1260 to +0.1260; p 1.0000; "
            "n = 20): too small to tell (this run can detect 18.0 points or more)"
        ),
    ]


def test_the_first_is_the_baseline(shell, run_folder):
    a, b = run_folder("a", 20), run_folder("b", 20, wrong=12)
    out = shell("compare", b, a).out

    assert "fact_coverage: 0.4000 -> 1.0000 (+0.6000" in out
    assert "fact_coverage: gained 12 (d0, d1, d2, d3, d4, d5, d6, d7, d8, d9 and 2 more)\n" in out


OTHER = [{"dialogue_id": f"d{i}", "user": "Where?", "required_facts": ["Rome"]} for i in range(3)]
MORE = [{"dialogue_id": f"d{i}", "user": "Where?", "required_facts": ["Paris"]} for i in range(5)]


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ({"dialogues": MORE}, "2 dialogues only in the candidate: d3, d4"),
        ({"dialogues": MORE[:2]}, "1 dialogue only in the baseline: d2"),
        ({"dialogues": OTHER[:1] + MORE[1:3]}, "1 dialogue with other content: d0"),
        ({"facts": {"match": "exact"}}, "fact_coverage was scored with another fact_mode"),
        (
            {"refusals": {"detector": "keywords"}},
            "refusal_rate was scored with another detector",
        ),
    ],
)
def test_what_differs_is_refused_unless_asked_for(shell, run_folder, candidate, said):
    a, b = run_folder("a"), run_folder("b", **candidate)
    code, out, err = shell("compare", a, b)
    assert (code, out) == (2, "")
    assert said in err

    code, out, err = shell("compare", a, b, "--intersection")
    assert (code, err) == (0, "")
    assert f"left out: {said}" in out


def test_other_definitions(shell, run_folder):
    a, b = run_folder("a"), run_folder("b")
    edit_summary(a, provenance={"definitions_version": "older"})
    code, out, err = shell("compare", a, b)

    assert (code, out) == (2, "")
    assert "another definitions_version" in err
    assert "score both anew: experiment-profiler summarize --rescore --log-dir FOLDER" in err
    code, out, _ = shell("compare", a, b, "--intersection")
    assert code == 0
    assert "left out: refusal_rate was scored with another definitions_version\n" in out
    assert out.endswith("no metric is left to compare\n")
    shell("summarize", "--log-dir", a, "--rescore")
    assert shell("compare", a, b).code == 0


def test_a_partial_run_is_no_baseline(shell, run_folder):
    a, b = run_folder("a"), run_folder("b")
    edit_summary(a, status="partial")

    assert shell("compare", a, b).code == 2
    assert shell("compare", a, b).err == f"{a} is no baseline: its run is partial\n"
    assert shell("compare", a, b, "--intersection").code == 0
    assert shell("compare", b, a).code == 0


def test_dialogues_that_are_not_complete_in_both_are_counted(shell, run_folder):
    a, b = run_folder("a", 4), run_folder("b", 4, answers={"d0": "Paris", "d1": "x", "d2": "x"})

    assert shell("compare", a, b).out.startswith(
        f"compared with {a}: 3 pairs of dialogues, 1 left out as not complete in both\n"
    )


@pytest.mark.parametrize("words", [["none", "none"], ["a/runs/demo_run", "none"]])
def test_no_run_folder(shell, run_folder, words):
    run_folder("a")
    code, out, err = shell("compare", *words)

    assert (code, out) == (2, "")
    assert "none" in err
    assert "no run.json" in err or "no whole run folder" in err


def test_the_command_to_resume_compares_as_well(shell, run_folder, tmp_path):
    folder = run_folder("a", 3)
    run_folder("b", 3, answers={"d0": "Paris"})
    words = ["--config", tmp_path / "b" / "demo_experiment.yaml", "--output-dir", "new"]
    said = shell("run", *words, "--baseline", folder, "--intersection")

    [line] = [line for line in said.err.splitlines() if line.startswith("resume: ")]
    assert line.endswith(f"--resume --baseline {folder} --intersection")
