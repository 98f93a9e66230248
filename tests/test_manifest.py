"""Manifests as files: the experiment that a good one is, the report that a bad one gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_experiment_profiler.errors import ManifestError
from pytest_experiment_profiler.manifest import check_manifest, load_experiment
from pytest_experiment_profiler.provenance import experiment_record, parse_experiment
from tests.builders import SAMPLE, write_project

HOUSE = Path(__file__).parent / "manifests"
VALID = sorted((HOUSE / "valid").glob("*.yaml"))
INVALID = sorted((HOUSE / "invalid").glob("*.yaml"))


def name_file(path):
    return path.stem


def make_portable(text):
    return text.replace(f"{HOUSE.as_posix()}/", "")


def check(path):
    return check_manifest(path, HOUSE / "root")


@pytest.mark.parametrize("path", VALID, ids=name_file)
def test_a_valid_manifest_is_the_experiment_beside_it(path):
    experiment = check(path).experiment
    found = json.loads(make_portable(json.dumps(experiment_record(experiment))))
    assert found == json.loads(path.with_suffix(".json").read_text("utf-8"))


@pytest.mark.parametrize("path", INVALID, ids=name_file)
def test_an_invalid_manifest_gets_the_report_beside_it(path):
    with pytest.raises(ManifestError) as caught:
        check(path)
    assert make_portable(f"{caught.value}\n") == path.with_suffix(".txt").read_text("utf-8")


@pytest.mark.parametrize("path", VALID, ids=name_file)
def test_an_experiment_comes_back_from_its_record(path):
    experiment = check(path).experiment
    assert parse_experiment(json.loads(json.dumps(experiment_record(experiment)))) == experiment


def test_every_case_has_its_expectation_and_the_other_way_round():
    for folder, suffix in (("valid", ".json"), ("invalid", ".txt")):
        cases = {path.stem for path in (HOUSE / folder).glob("*.yaml")}
        assert {path.stem for path in (HOUSE / folder).glob(f"*{suffix}")} == cases


def test_each_problem_has_its_place():
    path = HOUSE / "invalid" / "everything_wrong.yaml"
    with pytest.raises(ManifestError) as caught:
        check(path)
    places = [(problem.path.name, problem.line) for problem in caught.value.problems]
    assert places == sorted(places, key=lambda place: place[0] != path.name)
    assert {name for name, _ in places} == {path.name, "broken.jsonl"}


def test_a_number_beyond_all_bounds_is_out_of_range(tmp_path):
    with pytest.raises(ManifestError, match="repeats must be a whole number from 1 to 1000"):
        load_experiment(write_project(tmp_path, repeats=10**400))


def test_a_manifest_that_is_not_there_is_told_with_the_nearest_name(tmp_path):
    manifest = write_project(tmp_path)
    with pytest.raises(ManifestError) as caught:
        load_experiment(manifest.with_name("dmo_experiment.yaml"))
    assert str(caught.value).endswith(f"(did you mean {manifest.name!r}?)")


@pytest.mark.parametrize("key", ["dataset_path", "mock_responses"])
@pytest.mark.parametrize("text", ["a\x00b.json", "x" * 5000, "\x1b[31mred.json"])
def test_a_path_that_no_file_can_have_is_reported_plainly(tmp_path, key, text):
    with pytest.raises(ManifestError, match="no such file") as caught:
        load_experiment(write_project(tmp_path, **{key: text}))
    assert str(caught.value).isprintable()


def test_the_lines_of_the_dialogues_are_known():
    assert check(HOUSE / "valid" / "smallest.yaml").lines == {"rain": 2, "snow": 3}


def test_the_manifests_folder_comes_before_the_fallback(tmp_path):
    manifest = write_project(tmp_path / "near")
    write_project(tmp_path / "far")
    experiment = load_experiment(manifest, tmp_path / "far")
    assert experiment.dataset_path.is_relative_to(tmp_path / "near")


def test_the_fallback_is_the_current_folder(tmp_path, monkeypatch):
    manifest = write_project(tmp_path / "far")
    (tmp_path / "far" / "demo_data").rename(tmp_path / "demo_data")
    monkeypatch.chdir(tmp_path)
    assert load_experiment(manifest).dataset_path == tmp_path / "demo_data" / "dialogues.json"


def test_mock_answers_beside_the_dataset_are_found_or_absent(tmp_path):
    with_answers = load_experiment(write_project(tmp_path / "a"))
    without = load_experiment(write_project(tmp_path / "b", answers={}))
    assert with_answers.mock_responses == tmp_path / "a" / "demo_data" / "mock_responses.json"
    assert without.mock_responses is None


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.yaml:1:1: can't be read: No such file"):
        load_experiment(tmp_path / "none.yaml")


def test_the_sample_is_what_the_readme_shows():
    experiment = load_experiment(SAMPLE / "configs" / "sample_experiment.yaml")
    assert (experiment.experiment_id, experiment.model) == ("demo_run", "claude-haiku-4-5")
    assert (experiment.max_tokens, experiment.temperature) == (200, 0.2)
    assert experiment.metrics == ("fact_coverage", "geometric_mean", "refusal_rate")
