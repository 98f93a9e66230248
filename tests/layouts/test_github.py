"""GitHub Actions: a line a failed dialogue and gate at its place, and the step's summary."""

from __future__ import annotations

import pytest

from tests.layouts.project import MANIFEST

DATASET = "experiments/demo_data/dialogues.json"


@pytest.fixture(params=["subtests", "tree"])
def layout(request):
    return f"--experiment-layout={request.param}"


@pytest.fixture
def workflow(project, monkeypatch):
    """The project in a workflow of GitHub Actions; d1's call fails, and the gate on coverage."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "step.md"))
    manifest = project.path / MANIFEST
    gates = "gates: {fact_coverage: {min: 0.99}, max_error_rate: 0.5, refusal_rate: {min: 0.1}}\n"
    manifest.write_text(manifest.read_text("utf-8") + gates, "utf-8")
    dataset = project.path / DATASET
    dataset.write_text(dataset.read_text("utf-8").replace("fact4", "unheard of"), "utf-8")
    project.fail("d1")
    return project


def list_errors(result):
    """List (file, line, message) of each annotation."""
    found = []
    for line in result.outlines:
        if line.startswith("::error "):
            head, _, message = line.removeprefix("::error ").partition("::")
            fields = dict(field.split("=", 1) for field in head.split(","))
            found.append((fields["file"], fields["line"], message))
    return found


@pytest.mark.parametrize("words", [[], ["-q"], ["-qq"], ["-v"]])
def test_each_failed_dialogue_and_gate_has_its_line(workflow, layout, words):
    errors = list_errors(workflow.run(MANIFEST, layout, *words))
    [dialogue] = [message for file, line, message in errors if (file, line) == (DATASET, "3")]
    assert dialogue.startswith("dialogue d1%0A")
    assert "%0Aerror: client_error: the model is out" in dialogue
    gates = [message for file, line, message in errors if (file, line) == (MANIFEST, "1")]
    assert [text.split()[1] for text in gates if "gate: " in text] == [
        "fact_coverage",
        "refusal_rate",
    ]
    assert len(errors) == 1 + len(gates)


def test_annotations_of_workers(workflow, layout):
    pytest.importorskip("xdist")
    errors = list_errors(workflow.spawn(MANIFEST, layout, "-n", "2"))
    assert [place[:2] for place in errors if "dialogue d1%0A" in place[2]] == [(DATASET, "3")]
    assert len([text for *_, text in errors if text.startswith("gate: ")]) == 2


def test_a_client_that_cannot_be_had_is_told_at_each_dialogue(workflow):
    (workflow.path / "experiments" / "conftest.py").unlink()
    errors = list_errors(workflow.run(MANIFEST, "--experiment-layout=tree"))
    assert [int(line) for file, line, _ in errors if file == DATASET] == [2, 3, 4, 5, 6, 7]
    assert all("nothing can answer" in message for *_, message in errors)


def test_a_bad_manifest_is_told(workflow):
    workflow.write(2, name="bad", max_tokens=0)
    errors = list_errors(workflow.run("experiments/bad_experiment.yaml"))
    [(file, line, message)] = errors
    assert (file, line) == ("experiments/bad_experiment.yaml", "1")
    assert "bad_experiment.yaml:3:13: max_tokens must be" in message


def test_other_tests_get_no_annotation(workflow):
    (workflow.path / "tests" / "test_plain.py").write_text("def test_it(): assert 0\n", "utf-8")
    assert list_errors(workflow.run("tests")) == []


def test_the_step_summary_has_table_gates_and_the_worst(workflow, layout):
    workflow.run(MANIFEST, layout, "-qq")
    text = (workflow.path / "step.md").read_text("utf-8")
    assert text.count("### Experiment `demo_run`") == 1
    assert "| fact\\_coverage | 0.8000 | " in text
    assert "gate failed\\: fact\\_coverage 0.8000 is below its minimum of 0.99" in text
    worst = [line.split(" | ")[:3] for line in text.splitlines() if line.startswith("| d")]
    assert worst == [["| d1", "error", "n/a"], ["| d4", "ok", "0.0000"]]


def test_the_step_summary_grows_by_each_run(workflow, layout):
    for _ in range(2):
        workflow.run(MANIFEST, layout)
    text = (workflow.path / "step.md").read_text("utf-8")
    assert text.count("### Experiment `demo_run`") == 2


def test_a_step_summary_that_cannot_be_written_is_told(workflow, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(workflow.path / "none" / "step.md"))
    result = workflow.run(MANIFEST)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["no step summary: *none*step.md*"])
    assert len(list_errors(result)) == 4


def test_outside_of_a_workflow_nothing_is_written(workflow, monkeypatch, layout):
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert list_errors(workflow.run(MANIFEST, layout)) == []
    assert not (workflow.path / "step.md").exists()


def test_a_page_is_written_where_nothing_is_said(workflow, layout):
    workflow.run(MANIFEST, layout, "-qq", "--experiment-html=page.html")
    assert "demo_run" in (workflow.path / "page.html").read_text("utf-8")
