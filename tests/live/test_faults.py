"""What a service may send: each fault has its outcome, and no dialogue goes unanswered."""

from __future__ import annotations

import pytest


def test_many_faults_and_every_dialogue_is_answered(service, shell, project):
    shares = {"429": 0.03, "429-bare": 0.01, "429-limits": 0.01, "529": 0.02, "cut": 0.01}
    api = service(faults=shares)
    ended = shell(project(400, concurrency=64))
    assert (ended.code, ended.summary["counts"]["errors"]) == (0, 0)
    assert len(api.answered) == len(ended.lines("responses")) == 400
    assert set(api.answered.values()) == {1}
    assert set(api.kinds) == {*shares, "answer"}
    assert sum(len(line["attempts"]) for line in ended.lines("responses")) == api.asked.total()


RETRIED = {
    "429": (429, "rate_limit_error"),
    "429-bare": (429, "rate_limit_error"),
    "529": (529, "overloaded_error"),
    "500": (500, "api_error"),
    "html": (200, "not_a_message"),
    "empty": (200, "not_a_message"),
    "cut": (None, "APIConnectionError"),
}


@pytest.mark.parametrize("fault", RETRIED)
def test_a_passing_fault_is_an_attempt_on_record(service, shell, project, fault):
    service(faults={fault: 1.0}, only_first=True)
    ended = shell(project(3))
    assert ended.code == 0
    for line in ended.lines("responses"):
        first, second = line["attempts"]
        assert (first["status"], first["error"].partition(":")[0]) == RETRIED[fault]
        assert (second["status"], second["error"]) == (200, None)
        assert line["completion"].startswith("It is Question")


def test_an_answer_that_does_not_come_is_given_up_in_time(service, shell, project):
    api = service(faults={"hang": 0.4, "trickle": 0.3})
    ended = shell(project(8, timeout=0.5))
    kinds = [(line["error"] or {}).get("type") for line in ended.lines("responses")]
    assert kinds.count("timeout") == api.kinds["hang"] + api.kinds["trickle"] > 0
    assert kinds.count(None) == api.kinds["answer"] > 0
    assert (ended.code, ended.summary["counts"]["errors"]) == (1, kinds.count("timeout"))


def test_a_wait_beyond_the_limit_is_left_to_a_resume(service, shell, project):
    api = service(faults={"429-long": 1.0}, only_first=True)
    manifest = project(3)
    ended = shell(manifest)
    assert ended.code == 1
    assert {line["error"]["type"] for line in ended.lines("responses")} == {"rate_limit_error"}
    assert "asked to wait 3600 s, more than 60 s: left to a later resume" in ended.err
    assert "--resume" in ended.err
    again = shell(manifest, "--resume")
    assert (again.code, api.asked.total()) == (0, 6)


ANSWERED = {
    "refusal": ("refusal", ""),
    "max_tokens": ("max_tokens", "It is Question"),
    "thinking": ("end_turn", ""),
}


@pytest.mark.parametrize("kind", ANSWERED)
def test_an_answer_is_never_asked_again_for_what_it_says(service, shell, project, kind):
    api = service(faults={kind: 1.0})
    ended = shell(project(3))
    stop_reason, start = ANSWERED[kind]
    assert (ended.code, api.asked.total()) == (0, 3)
    for line in ended.lines("responses"):
        assert (line["stop_reason"], line["error"]) == (stop_reason, None)
        assert line["completion"].startswith(start)
        assert bool(line["completion"]) == bool(start)


def test_a_refusal_ends_its_dialogue(service, shell, project):
    api = service(faults={"refusal": 1.0})
    ended = shell(project([{"dialogue_id": "d", "turns": ["one?", "two?"]}]))
    assert (ended.code, list(api.asked)) == (0, ["one? #1"])
    assert ended.summary["refusal_rate"] == 1.0


def test_more_calls_than_a_service_takes_are_cut_back(service, shell, project):
    api = service(capacity=8, delay_s=0.005)
    ended = shell(project(200, concurrency=64))
    assert ended.code == 0
    assert len(api.answered) == 200
    refused = api.kinds["429-bare"]
    assert 0 < refused < 200


def test_no_more_calls_are_in_flight_than_the_manifest_allows(service, shell, project):
    api = service(delay_s=0.01)
    shell(project(60, concurrency=5))
    assert api.most_in_flight == 5
