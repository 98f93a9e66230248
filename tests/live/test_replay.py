"""A recorded run as the client: the same answers again, nothing sent, nothing paid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.live.runs import edit_dataset


@pytest.fixture
def recorded(service, shell, project):
    """Record a run of six dialogues, two of several turns."""
    api = service(faults={"refusal": 0.2, "max_tokens": 0.2})
    rows: list[dict[str, Any]] = [
        {"dialogue_id": f"d{i}", "user": f"Question {i}?"} for i in range(4)
    ]
    rows += [{"dialogue_id": f"t{i}", "turns": [f"{i}?", f"{i}!"]} for i in range(2)]
    manifest = project(rows)
    ended = shell(manifest)
    assert ended.code == 0
    return manifest, ended, api


def test_a_replay_gives_the_same_values_and_sends_nothing(recorded, shell):
    manifest, original, api = recorded
    before = api.requests
    ended = shell(manifest, "--client", str(original.folder), output="again")
    assert (ended.code, api.requests) == (0, before)
    same = ("fact_coverage", "refusal_rate", "geometric_mean", "tokens", "intervals")
    assert {key: ended.summary[key] for key in same} == {k: original.summary[k] for k in same}
    assert ended.summary["client"] == "replay"
    for old, new in zip(original.lines("responses"), ended.lines("responses"), strict=True):
        assert (new["completion"], new["stop_reason"]) == (old["completion"], old["stop_reason"])


def test_its_cost_is_counted_as_avoided(recorded, shell):
    manifest, original, _ = recorded
    ended = shell(manifest, "--client", str(original.folder), output="again")
    cost = ended.summary["cost"]
    assert cost["usd"] == 0.0
    assert cost["avoided_usd"] == original.summary["cost"]["usd"] > 0
    assert "cost: nothing, replayed ($" in ended.out


def test_the_folder_above_will_do(recorded, shell):
    manifest, original, _ = recorded
    assert shell(manifest, "--client", str(original.folder.parent), output="again").code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user": "What about 2?"}, "user 'Question 2?' there, 'What about 2?' here"),
        ({"system": "Be brief."}, "system none there, 'Be brief.' here"),
        ({"dialogue_id": "d22"}, "turn 0 of d22, repeat 0 is not recorded"),
    ],
)
def test_a_miss_names_the_nearest_call_and_what_differs(recorded, shell, changes, said):
    manifest, original, api = recorded
    before = api.requests
    edit_dataset(manifest, 2, **changes)
    ended = shell(manifest, "--client", str(original.folder), output="again")
    assert (ended.code, ended.summary["counts"]["errors"], api.requests) == (1, 1, before)
    (missed,) = [line for line in ended.lines("responses") if line["error"]]
    assert missed["error"]["type"] == "not_recorded"
    assert said in missed["error"]["message"]


def test_a_recorded_failure_fails_again(service, shell, project):
    service(faults={"400": 1.0})
    manifest = project(2)
    original = shell(manifest)
    ended = shell(manifest, "--client", str(original.folder), output="again")
    assert ended.code == 1
    for line in ended.lines("responses"):
        assert line["error"]["type"] == "invalid_request_error"
        assert line["error"]["message"].endswith("(as recorded)")


def test_a_replay_can_be_replayed_and_resumed(recorded, shell):
    manifest, original, _ = recorded
    again = shell(manifest, "--client", str(original.folder), output="again")
    resumed = shell(manifest, "--client", str(original.folder), "--resume", output="again")
    assert (resumed.code, resumed.summary["counts"]["reused"]) == (
        0,
        again.summary["counts"]["calls"],
    )
    third = shell(manifest, "--client", str(again.folder), output="third")
    assert (third.code, third.summary["counts"]["errors"]) == (0, 0)


def test_what_is_no_run_folder_can_not_be_replayed(project, shell, tmp_path):
    ended = shell(project(2), "--client", str(tmp_path))
    assert ended.code == 2
    assert "there is nothing to replay" in ended.err


def test_under_pytest_too(recorded, pytester):
    manifest, original, api = recorded
    before = api.requests
    words = [f"--experiment={manifest}", f"--experiment-client={original.folder}"]
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *words)
    assert (result.ret, api.requests) == (0, before)
    result.stdout.fnmatch_lines([f"client: replay ({original.folder})"])
    assert json.loads((pytester.path / "runs/demo_run/summary.json").read_text("utf-8"))
