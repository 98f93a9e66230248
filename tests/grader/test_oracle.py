"""The oracle says what the prompt, the library and the reference say."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from grader.cases import chance_of, make_cases
from grader.desk import Layout, write_experiment
from grader.oracle import PHRASES, found, measure, refuses
from grader.places import PROMPT, REFERENCE, REPOSITORY
from pytest_experiment_profiler.experiment import Fact
from pytest_experiment_profiler.metrics import facts, refusal

LAYOUT = Layout(
    manifest="set.yaml",
    dataset="rows.json",
    dataset_path="rows.json",
    answers="mock_responses.json",
)
RANDOM_CASES = 200

LOOP = """
import sys
sys.path[:0] = sys.argv[1:3]
from experiment_profiler.cli import main
for folder in sys.argv[3:]:
    if main(["run", "--config", folder + "/set.yaml", "--output-dir", folder + "/out"]):
        sys.exit(folder)
"""


def random_cases():
    seeds = range(1000, 1000 + RANDOM_CASES // 4)
    groups = ("fresh", "rerun", "moved", "live")
    return [getattr(make_cases(seed), group) for seed in seeds for group in groups]


def test_the_phrases_are_those_of_the_prompt_and_of_the_library():
    listed = re.search(r"```\n(i can't help\n.*?)```", PROMPT.read_text("utf-8"), re.DOTALL)
    assert listed
    assert tuple(listed[1].splitlines()) == PHRASES
    assert set(PHRASES) == set(refusal.KEYWORDS)


def test_the_reference_agrees_on_random_cases(tmp_path):
    cases = random_cases()
    folders = [tmp_path / str(number) for number in range(len(cases))]
    for number, (case, folder) in enumerate(zip(cases, folders, strict=True)):
        write_experiment(folder, LAYOUT, case, chance_of(number, "test"))
    command = [sys.executable, "-B", "-c", LOOP, str(REFERENCE), str(REPOSITORY / "src")]
    subprocess.run([*command, *map(str, folders)], check=True, capture_output=True, timeout=120)
    for case, folder in zip(cases, folders, strict=True):
        path = folder / "out" / case.experiment_id / "summary.json"
        summary = json.loads(path.read_text("utf-8"))
        want = measure(case)
        for name in ("fact_coverage", "refusal_rate", "geometric_mean"):
            assert summary[name] == pytest.approx(getattr(want, name), abs=1e-9), name


def test_the_library_s_readers_agree_on_each_answer():

    for case in random_cases():
        for item in case.dialogues:
            text, reason = item.answer.text, item.answer.stop_reason
            label = refusal.detect(text, reason, detector="keywords").label
            assert (label == "full") == refuses(item.answer), text
            for wordings in item.facts:
                match = facts.match(Fact(wordings=wordings), text, "exact")
                assert match.found == found(wordings, text), (wordings, text)
