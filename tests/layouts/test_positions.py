"""Where a dialogue stands: its line in the dataset, whatever the format."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.builders import read_lines
from tests.layouts.project import MANIFEST

DATASETS = {
    "rows.json": (
        """
[
  {"dialogue_id": "d0", "user": "Zero?"},
  {
    "dialogue_id": "d1",
    "user": "One?"
  },

  {"user": "Two?", "dialogue_id": "d2"}
]
""",
        [3, 4, 9],
    ),
    "rows.jsonl": (
        """{"dialogue_id": "d0", "user": "Zero?"}

{"dialogue_id": "d1", "user": "One?"}
{"user": "Two?", "dialogue_id": "d2"}
""",
        [1, 3, 4],
    ),
    "rows.yaml": (
        """# a list
- dialogue_id: d0
  user: |
    Zero?
    Really?

- {dialogue_id: d1, user: One?}
-
  user: Two?
  dialogue_id: d2
""",
        [2, 7, 9],
    ),
    "rows.csv": (
        'dialogue_id,user,required_facts\nd0,"Zero?\nReally?",a;b\nd1,One?,\nd2,Two?,c\n',
        [2, 4, 5],
    ),
}


@pytest.fixture(params=DATASETS)
def dataset(request, bare):
    """A project whose dataset is of one of the formats: (project, its path, expected lines)."""
    text, lines = DATASETS[request.param]
    path = bare.path / "experiments" / "data" / request.param
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    values = {
        "experiment_id": "demo_run",
        "model": "claude-haiku-4-5",
        "max_tokens": 20,
        "dataset_path": f"data/{request.param}",
    }
    manifest = "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())
    (bare.path / MANIFEST).write_text(manifest, "utf-8")
    return bare, path, lines


@pytest.mark.parametrize("layout", ["subtests", "tree"])
def test_failures_name_the_line(dataset, layout):
    project, path, lines = dataset
    project.fail("d0", "d1", "d2")
    result = project.run(MANIFEST, f"--experiment-layout={layout}")
    said = re.findall(rf"^{re.escape(str(path))}:(\d+)", result.stdout.str(), re.MULTILINE)
    assert list(map(int, said)) == lines


def test_items_stand_at_their_lines(dataset):
    project, path, lines = dataset
    items, _ = project.pytester.inline_genitems(MANIFEST, "--experiment-layout=tree")
    places = [item.reportinfo() for item in items]
    assert [(str(file), line + 1) for file, line, _ in places] == [(str(path), n) for n in lines]


REPORTED = """
def pytest_runtest_logreport(report):
    if report.when == "call":
        print("AT", *report.location)
"""


@pytest.mark.parametrize("layout", ["subtests", "tree"])
def test_reports_stand_at_their_lines(dataset, layout):
    project, path, lines = dataset
    (project.path / "conftest.py").write_text(REPORTED, "utf-8")
    project.fail("d1")
    result = project.run(MANIFEST, f"--experiment-layout={layout}", "-s")
    said = re.findall(r"AT (\S+) (\d+) ", result.stdout.str())
    dialogues = [(file, int(line) + 1) for file, line in said if not file.endswith(MANIFEST)]
    assert [line for _, line in dialogues] == lines
    assert all((project.path / file).resolve() == path for file, _ in dialogues)


def test_the_log_keeps_the_place(dataset):
    project, path, lines = dataset
    project.run(MANIFEST)
    rows = read_lines(project.run_folder / "dialogues.jsonl")
    assert [row["_place"]["line"] for row in rows] == lines
    assert all(row["_place"]["file"].endswith(path.name) for row in rows)


def test_an_experiment_stands_at_its_manifest(project):
    for layout, name in (("subtests", "ExperimentItem"), ("tree", "GatesItem")):
        project.write(1, name=layout, gates={"refusal_rate": {"max": 0.5}})
        manifest = f"experiments/{layout}_experiment.yaml"
        items, _ = project.pytester.inline_genitems(manifest, f"--experiment-layout={layout}")
        assert type(items[-1]).__name__ == name
        assert items[-1].reportinfo()[:2] == (project.path / manifest, 0)


@pytest.mark.parametrize("layout", ["subtests", "tree"])
@pytest.mark.parametrize("here", [".", "experiments"])
def test_a_failure_tells_how_to_run_it_again_and_its_line_in_the_log(
    project, monkeypatch, layout, here
):
    project.fail("d1", "d4")
    monkeypatch.chdir(project.path / here)
    manifest = os.path.relpath(project.path / MANIFEST)
    result = project.run(manifest, f"--experiment-layout={layout}")
    again = re.findall(r'^rerun: pytest "(.*)"$', result.stdout.str(), re.MULTILINE)
    assert again == [f"{manifest}::demo_run::{name}" for name in ("d1", "d4")]
    logs = re.findall(r"^log: (.*responses\.jsonl):(\d+)$", result.stdout.str(), re.MULTILINE)
    said = [read_lines(Path(path))[int(line) - 1]["dialogue_id"] for path, line in logs]
    assert said == ["d1", "d4"]
    project.take_calls()
    project.run(again[0]).assert_outcomes(failed=1)
    assert project.take_calls() == ["d1"]
