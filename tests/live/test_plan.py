"""What a run would send and cost, without sending anything."""

from __future__ import annotations

import re

import pytest

from tests.builders import write_project
from tests.live.runs import cut_short


def read_plan(text):
    calls = re.search(r"calls to make: (\d+(?:,\d{3})*)(?:, (\d+) answers taken over)?", text)
    tokens = re.search(r"tokens: about ([\d,]+) to ([\d,]+) in, ([\d,]+) out at most", text)
    cost = re.search(r"cost: \$([\d.]+) to \$([\d.]+)", text)
    assert calls
    assert tokens
    numbers = [int(number.replace(",", "")) for number in tokens.groups()]
    usd = [float(number) for number in cost.groups()] if cost else None
    return int(calls[1].replace(",", "")), int(calls[2] or 0), numbers, usd


@pytest.fixture
def planned(service, shell, project):
    return service(), shell, project


def test_a_plan_sends_nothing_and_leaves_nothing(planned, tmp_path):
    api, shell, project = planned
    ended = shell(project(7), "--plan")
    assert (ended.code, api.requests) == (0, 0)
    assert read_plan(ended.out)[:2] == (7, 0)
    assert not (tmp_path / "runs").exists()


def test_what_a_run_takes_is_within_its_plan(planned):
    _, shell, project = planned
    manifest = project(
        [{"dialogue_id": f"d{i}", "turns": ["one?", "two?"]} for i in range(5)], repeats=2
    )
    calls, _, (_, most_in, most_out), usd = read_plan(shell(manifest, "--plan").out)
    summary = shell(manifest).summary
    assert calls == summary["counts"]["calls"] == 20
    assert summary["tokens"]["input"] <= most_in
    assert summary["tokens"]["output"] <= most_out
    assert usd[0] <= summary["cost"]["usd"] <= usd[1]


def test_a_plan_counts_what_a_resume_would_reuse(planned):
    api, shell, project = planned
    manifest = project(9)
    cut_short(shell(manifest).folder, 5)
    before = api.requests
    assert read_plan(shell(manifest, "--plan").out)[:2] == (9, 0)
    assert read_plan(shell(manifest, "--plan", "--resume").out)[:2] == (4, 5)
    assert api.requests == before
    assert not (shell(manifest, "--plan", "--resume").folder / "summary.json").exists()


def test_an_unknown_price_is_said(planned):
    _, shell, project = planned
    assert "cost: unknown" in shell(project(2, model="claude-nobody-9"), "--plan").out


def test_the_mock_costs_nothing(planned):
    _, shell, project = planned
    assert "cost: nothing (mock)" in shell(project(2), "--plan", "--client", "mock").out


def test_under_pytest_no_item_runs(planned, pytester):
    api, _, project = planned
    result = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", f"--experiment={project(4)}", "--experiment-plan"
    )
    assert api.requests == 0
    result.stdout.fnmatch_lines(["demo_run: calls to make: 4", "demo_run: tokens: about *"])
    assert "passed" not in "\n".join(result.outlines)


def test_a_plan_of_selected_dialogues_counts_what_their_run_would_reuse(planned, pytester):
    api, shell, project = planned
    manifest = project(4)
    shell(manifest)
    words = ["-p", "no:cacheprovider", f"{manifest}::demo_run::d1", f"{manifest}::demo_run::d2"]
    plan = [*words, "--experiment-plan", "--experiment-resume"]
    result = pytester.runpytest_inprocess(*plan)
    assert read_plan(result.stdout.str())[:2] == (2, 0)
    pytester.runpytest_inprocess(*words)
    [folder] = (pytester.path / "runs" / "demo_run" / "partial").iterdir()
    cut_short(folder, 1)
    result = pytester.runpytest_inprocess(*plan)
    assert read_plan(result.stdout.str())[:2] == (1, 1)
    assert api.requests == 6


OWN = """
import pytest
from pytest_experiment_profiler import ClientError, Reply

class Own:
    async def complete(self, prompt):
        if prompt.dialogue_id == "d1":
            raise ClientError("not now")
        return Reply(text="From clouds.")

@pytest.fixture(scope="module")
def model_client():
    return Own()
"""


def test_a_plan_counts_what_a_client_of_ones_own_answered(pytester):
    manifest = write_project(pytester.path / "project", 3)
    (manifest.parent / "conftest.py").write_text(OWN, "utf-8")
    words = ["-p", "no:cacheprovider", f"--experiment={manifest}"]
    pytester.runpytest_inprocess(*words)
    result = pytester.runpytest_inprocess(*words, "--experiment-plan", "--experiment-resume")
    assert read_plan(result.stdout.str())[:2] == (1, 2)
