"""A run that is stopped: by a key, a signal, an option, or by the service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.builders import read_lines
from tests.live.runs import SHELL, find_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")

PYTEST = ("pytest", "-p", "no:cacheprovider", "-q")

# --- by a key or a signal


def live_command(manifest, kind):
    if kind == "shell":
        return [*SHELL, manifest]
    return [*PYTEST, f"--experiment={manifest}", "--experiment-client=anthropic"]


STOPS = {
    "Ctrl-C in the shell": ("shell", signal.SIGINT, 130),
    "Ctrl-C under pytest": ("pytest", signal.SIGINT, 2),
    "SIGTERM to the shell": ("shell", signal.SIGTERM, 130),
    "SIGTERM to pytest": ("pytest", signal.SIGTERM, 2),
}


@pytest.mark.parametrize("way", STOPS)
def test_stopped_once_a_run_keeps_what_was_in_flight(service, project, start, way):
    kind, number, code = STOPS[way]
    api = service(delay_s=0.3)
    manifest = project(60, concurrency=8)
    process = start(*live_command(manifest, kind))
    api.wait_for(12)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    summary = json.loads((find_run(manifest) / "summary.json").read_text("utf-8"))
    kept = read_lines(find_run(manifest) / "responses.jsonl")
    assert process.returncode == code, out + err
    assert "Traceback" not in out + err
    assert "resume: " in out + err
    assert api.requests == len(kept) == len(api.answered) < 60
    assert summary["status"] == "partial"
    assert summary["counts"]["not_run"] == 60 - api.requests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_stop_where_their_controller_alone_is_told(service, project, start, number):
    pytest.importorskip("xdist")
    api = service(delay_s=0.3)
    manifest = project(60, concurrency=8)
    process = start(*live_command(manifest, "pytest"), "-n", "1")
    api.wait_for(12)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    summary = json.loads((find_run(manifest) / "summary.json").read_text("utf-8"))
    assert process.returncode == 2, out + err
    assert "Traceback" not in out + err
    assert "resume: " in out
    assert api.requests == len(api.answered) == summary["counts"]["calls"] < 60
    assert summary["status"] == "partial"


ENDING = """
import sys
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    print("ending", file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("way", ["Ctrl-C in the shell", "Ctrl-C under pytest"])
def test_stopped_again_a_run_ends_at_once(service, project, start, way):
    kind, number, code = STOPS[way]
    api = service(faults={"hang": 0.5})
    manifest = project(60, concurrency=8)
    (manifest.parent / "conftest.py").write_text(ENDING, "utf-8")
    process = start(*live_command(manifest, kind), *(["-s"] if kind == "pytest" else []))
    api.wait_for(12)
    process.send_signal(number)
    if kind == "pytest":  # which takes a while before it comes to an end, and is not ours there
        assert process.stderr.readline() == "ending\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in out + err
    kept = read_lines(find_run(manifest) / "responses.jsonl")
    assert {line["error"] is None for line in kept} == {True}


BLOCKING = """
import sys, threading
import pytest
from pytest_experiment_profiler import Reply

class Blocking:
    def complete(self, prompt):
        if prompt.dialogue_id == "d0":
            return Reply(text="x")
        print("blocked", file=sys.stderr, flush=True)
        threading.Event().wait()

@pytest.fixture(scope="module")
def model_client():
    return Blocking()
"""


def test_a_blocking_client_never_holds_up_the_end(project, start):
    manifest = project(5, concurrency=2)
    (manifest.parent / "conftest.py").write_text(BLOCKING, "utf-8")
    process = start(*PYTEST, "-s", f"--experiment={manifest}")
    assert "blocked" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 2
    folder = find_run(manifest)
    assert [line["dialogue_id"] for line in read_lines(folder / "responses.jsonl")] == ["d0"]
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert (summary["status"], summary["counts"]["not_run"]) == ("partial", 4)


# --- by an option


@pytest.mark.parametrize("option", ["-x", "--maxfail=2"])
def test_no_call_starts_after_the_last_failure_that_is_allowed(service, project, pytester, option):
    api = service(faults={"400": 1.0}, delay_s=0.05)
    manifest = project(200, concurrency=4)
    result = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", f"--experiment={manifest}", option
    )
    assert result.ret in {1, 2}
    assert 2 <= api.requests < 100
    assert set(api.asked.values()) == {1}


# --- by the service


HOPELESS = {
    "401": "authentication_error: invalid bearer token",
    "403": "permission_error: not allowed",
    "spend": "enforced_spend_limit_reached: spend limit reached",
    "temperature": "`temperature` is deprecated for this model.",
}


@pytest.mark.parametrize("kind", HOPELESS)
def test_what_every_call_would_meet_stops_the_run(service, shell, project, kind):
    api = service(faults={kind: 1.0}, delay_s=0.02)
    ended = shell(project(300, concurrency=64))
    assert ended.code == 1
    assert api.requests <= 32
    assert set(api.asked.values()) == {1}
    assert f"stopped: {HOPELESS[kind]}" in ended.err or HOPELESS[kind] in ended.err
    counts = ended.summary["counts"]
    assert (counts["errors"], counts["not_run"]) == (api.requests, 300 - api.requests)


def test_a_spend_limit_in_the_middle_keeps_what_came_before(service, shell, project):
    api = service(faults={"spend": 0.01}, delay_s=0.01)
    manifest = project(500, concurrency=16)
    ended = shell(manifest)
    assert ended.code == 1
    assert ended.summary["counts"]["not_run"] > 0
    assert api.kinds["spend"] >= 1
    answered = [line for line in ended.lines("responses") if line["error"] is None]
    assert len(answered) == len(api.answered) > 0
    assert set(api.asked.values()) == {1}
    api.faults = {}
    again = shell(manifest, "--resume")
    assert (again.code, again.summary["status"]) == (0, "complete")
    assert set(api.answered.values()) == {1}


@pytest.mark.parametrize(("kind", "is_asked_again"), [("401", False), ("temperature", True)])
def test_a_later_run_asks_again_where_that_may_help(
    service, project, pytester, kind, is_asked_again
):
    api = service(faults={kind: 1.0})
    one = project(40, concurrency=8)
    two = project(40, folder="other", name="two", concurrency=8)
    arguments = (f"--experiment={one}", f"--experiment={two}")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
    assert result.ret == 1
    assert (api.requests > 8) == is_asked_again
    not_run = [line for line in result.outlines if line[3:].startswith("of 40 dialogues were not")]
    assert len(not_run) == 2
    assert all(HOPELESS[kind][:20] in line for line in not_run)


def test_under_pytest_it_is_said_once(service, project, pytester):
    api = service(faults={"401": 1.0})
    manifest = project(100, concurrency=64)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", f"--experiment={manifest}")
    assert result.ret == 1
    assert api.requests <= 32
    said = "\n".join(result.outlines)
    assert f"{100 - api.requests} of 100 dialogues were not run: stopped: authentication_e" in said
