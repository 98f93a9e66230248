"""A run that was cut short, killed or stopped goes on: nothing is asked twice, nothing is lost."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.live.runs import SHELL, count_attempts, cut_short, edit_dataset, find_run, list_calls
from tests.live.service import draw

COUNT = 40
IN_FLIGHT = 8
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")


def id_of(call):
    return f"d{call.split()[1].rstrip('?')}"


def kill_at(process, api, requests):
    """Kill a process when the service has so many requests."""
    api.wait_for(requests)
    process.kill()
    process.communicate()


@pytest.mark.parametrize("seed", ["early", "late"])
def test_killed_again_and_again_a_run_asks_nothing_twice(service, shell, project, start, seed):
    api = service(delay_s=0.03, faults={"529": 0.05, "cut": 0.05}, only_first=True)
    manifest = project(COUNT, concurrency=IN_FLIGHT)
    folder = find_run(manifest)
    asked_again: set[str] = set()
    for number in range(2):
        before, logged = api.requests, list_calls(folder, "responses")
        process = start(*SHELL, manifest, *(["--resume"] if number else []))
        kill_at(process, api, before + 2 + int(14 * draw(seed, number)))
        answered = list_calls(folder, "responses")
        assert answered >= logged
        asked_again |= list_calls(folder, "requests") - answered
        assert not (folder / "summary.json").exists()
    ended = shell(manifest, "--resume")
    assert (ended.code, ended.summary["status"]) == (0, "complete")
    assert ended.summary["counts"]["reused"] == len(answered)
    assert {id_of(call) for call, times in api.answered.items() if times > 1} <= asked_again
    assert {id_of(call) for call in api.answered} == list_calls(folder, "responses")
    assert len(ended.lines("responses")) == len(ended.lines("requests")) == COUNT
    attempts, lost = count_attempts(folder)
    assert attempts - lost <= api.requests <= attempts


def test_a_pytest_session_that_was_killed_goes_on(service, project, start):
    api = service(delay_s=0.03)
    manifest = project(COUNT, concurrency=IN_FLIGHT)
    folder = find_run(manifest)
    command = [*PYTEST, f"--experiment={manifest}", "--experiment-client=anthropic"]
    kill_at(start(*command), api, 20)
    answered = list_calls(folder, "responses")
    out, _ = start(*command, "--experiment-resume").communicate(timeout=60)
    assert f"taken over from an earlier part: {len(answered)} answers" in out
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["counts"]["reused"] == len(answered) > 0
    assert summary["counts"]["calls"] == COUNT
    assert {id_of(call) for call, times in api.asked.items() if times > 1}.isdisjoint(answered)


TORN = {
    "half a line": b'{"dialogue_id": "d3", "comp',
    "no line feed": b'{"dialogue_id": "d3"}',
    "half a character": '{"completion": "é'.encode()[:-1],
    "zeros": b"\0" * 4096,
}


@pytest.mark.parametrize("name", TORN)
def test_a_torn_last_line_is_repaired(service, shell, project, name):
    api = service()
    manifest = project(6)
    before = shell(manifest)
    cut_short(before.folder, 3, TORN[name])
    ended = shell(manifest, "--resume")
    assert (ended.code, ended.summary["counts"]["reused"]) == (0, 3)
    assert [line["dialogue_id"] for line in ended.lines("responses")] == [f"d{i}" for i in range(6)]
    assert sum(times - 1 for times in api.asked.values()) == 3


def test_a_request_that_was_torn_was_not_sent(service, shell, project):
    api = service()
    manifest = project(6)
    before = shell(manifest)
    cut_short(before.folder, 3)
    path = before.folder / "requests.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:30])
    ended = shell(manifest, "--resume")
    assert ended.code == 0
    assert count_attempts(ended.folder) == (7, 1)
    assert api.requests == 9


def test_a_whole_run_sends_nothing_and_prints_its_table(service, shell, project):
    api = service()
    manifest = project(4)
    first = shell(manifest)
    again = shell(manifest, "--resume")
    assert (again.code, api.requests) == (0, 4)
    assert "taken over from an earlier part: 4 answers, asked now: 0" in again.out
    assert "Experiment Metrics" in again.out
    changed = {"counts", "provenance", "cost"}
    for key in first.summary.keys() - changed:
        assert again.summary[key] == first.summary[key]
    assert again.summary["cost"] == first.summary["cost"]
    assert not (again.folder / "history").exists()


def test_without_a_run_resuming_starts_one(service, shell, project):
    api = service()
    ended = shell(project(3), "--resume")
    assert (ended.code, ended.summary["status"], api.requests) == (0, "complete", 3)


def test_errors_are_asked_again(service, shell, project):
    api = service(faults={"400": 1.0}, only_first=True)
    manifest = project(4)
    first = shell(manifest)
    assert (first.code, first.summary["counts"]["errors"]) == (1, 4)
    assert f"--config {manifest} --output-dir runs --resume" in first.err
    again = shell(manifest, "--resume")
    assert (again.code, again.summary["counts"]["errors"], api.requests) == (0, 0, 8)
    for line in again.lines("responses"):
        assert [attempt["status"] for attempt in line["attempts"]] == [400, 200]


def test_an_attempt_lost_after_a_logged_error_is_on_record(service, shell, project):
    service(faults={"400": 1.0}, only_first=True)
    manifest = project(2)
    first = shell(manifest)
    path = first.folder / "requests.jsonl"
    answers = {line["dialogue_id"]: line["attempts"] for line in first.lines("responses")}
    sent = [line | {"attempts": answers[line["dialogue_id"]]} for line in first.lines("requests")]
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in sent)
    again = shell(manifest, "--resume")
    for line in again.lines("responses"):
        assert [attempt["status"] for attempt in line["attempts"]] == [400, None, 200]
        assert line["attempts"][1]["lost"]


def test_attempts_before_one_that_was_cut_are_on_record(service, shell, project, start):
    api = service(faults={"429": 1.0})
    manifest = project(2)
    kill_at(start(*SHELL, manifest), api, 8)
    api.faults = {}
    again = shell(manifest, "--resume")
    assert again.code == 0
    for line in again.lines("responses"):
        *first, cut, last = [attempt["status"] for attempt in line["attempts"]]
        assert (set(first), cut, last) == ({429}, None, 200)
    attempts, _ = count_attempts(again.folder)
    assert api.requests <= attempts <= api.requests + 2


def test_a_changed_dialogue_is_asked_and_the_others_are_reused(service, shell, project):
    api = service()
    manifest = project(6)
    shell(manifest)
    edit_dataset(manifest, 2, user="Another question 2?")
    ended = shell(manifest, "--resume")
    assert (ended.code, api.requests) == (0, 7)
    assert "taken over from an earlier part: 5 answers, asked now: 1" in ended.out
    assert [line["dialogue_id"] for line in ended.lines("responses")] == [f"d{i}" for i in range(6)]
    assert ended.lines("requests")[2]["prompt"]["user"] == "Another question 2?"
    (kept,) = (ended.folder / "history").iterdir()
    assert len((kept / "responses.jsonl").read_bytes().splitlines()) == 6


def test_what_is_not_sent_may_change(service, shell, project):
    api = service()
    manifest = project(4)
    shell(manifest)
    edit_dataset(manifest, 1, required_facts=["Question 1"])
    manifest.write_text(manifest.read_text("utf-8") + "concurrency: 2\nmetrics: [fact_coverage]\n")
    ended = shell(manifest, "--resume")
    assert (ended.code, api.requests, ended.summary["counts"]["reused"]) == (0, 4, 4)


@pytest.mark.parametrize("line", ["temperature: 0.5", "system: Be brief.", "max_tokens: 100"])
def test_what_is_sent_may_not(service, shell, project, line):
    api = service()
    manifest = project(3)
    shell(manifest)
    key = line.partition(":")[0]
    kept = [old for old in manifest.read_text("utf-8").splitlines() if not old.startswith(key)]
    manifest.write_text("\n".join([*kept, line, ""]), "utf-8")
    ended = shell(manifest, "--resume")
    assert (ended.code, api.requests, ended.summary["counts"]["reused"]) == (0, 6, 0)
    assert ended.summary["counts"]["calls"] == len(ended.lines("requests")) == 3


def test_a_longer_dataset_keeps_its_first_answers(service, shell, project):
    api = service()
    short, long = project(3), project(5, folder="longer")
    shell(short)
    ended = shell(long, "--resume")
    assert (ended.code, api.requests) == (0, 5)
    assert ended.summary["counts"]["reused"] == 3


def test_each_turn_is_taken_over_by_itself(service, shell, project):
    api = service()
    manifest = project([{"dialogue_id": f"d{i}", "turns": [f"{i}?", f"{i}!"]} for i in range(3)])
    before = shell(manifest)
    cut_short(before.folder, 3)
    ended = shell(manifest, "--resume")
    assert (ended.code, ended.summary["counts"]["reused"], api.requests) == (0, 3, 9)
    assert [line["turn"] for line in ended.lines("responses")] == [0, 1] * 3


def test_another_client_is_refused(service, shell, project, tmp_path):
    service()
    manifest = project(3)
    shell(manifest)
    before = (tmp_path / "runs" / "demo_run" / "responses.jsonl").read_bytes()
    ended = shell(manifest, "--resume", "--client", "mock")
    assert ended.code == 2
    assert "was answered by anthropic, not mock" in ended.err
    assert (ended.folder / "responses.jsonl").read_bytes() == before


def test_a_second_process_is_refused(service, shell, project, start):
    api = service(faults={"hang": 1.0})
    manifest = project(3)
    start(*SHELL, manifest)
    api.wait_for(3)
    for words in ([], ["--resume"]):
        second = shell(manifest, *words)
        assert second.code == 2
        assert "is in use by another run" in second.err
    assert api.requests == 3
    assert len(second.lines("requests")) == 3


def test_a_new_run_keeps_the_old_one(service, shell, project):
    service()
    manifest = project(3)
    first = shell(manifest)
    answers = (first.folder / "responses.jsonl").read_bytes()
    second = shell(manifest)
    (kept,) = (second.folder / "history").iterdir()
    assert (kept / "responses.jsonl").read_bytes() == answers
    assert second.summary["counts"]["reused"] == 0


def test_attempts_and_costs_of_all_parts_add_up(service, shell, project, tmp_path):
    service(faults={"529": 0.3, "429": 0.3}, only_first=True)
    manifest = project(20)
    whole = shell(manifest)
    assert sum(len(line["attempts"]) == 2 for line in whole.lines("responses")) > 4
    parts = shutil.copytree(tmp_path / "runs", tmp_path / "parts") / "demo_run"
    made, _ = count_attempts(parts)
    cut_short(parts, 8)
    ended = shell(manifest, "--resume", output="parts")
    assert ended.summary["cost"] == whole.summary["cost"]
    assert ended.summary["tokens"] == whole.summary["tokens"]
    assert count_attempts(ended.folder) == (made + 12, 12)
    assert ended.summary["counts"]["calls"] == 20
