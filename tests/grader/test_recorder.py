"""The recorder answers as the Messages API does, and keeps what was sent."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading

import pytest

from grader.recorder import BODY_LIMIT, Recorder
from tests.grader.builders import CASES

CASE = CASES.live


@pytest.fixture
def recorder():
    with Recorder(CASE) as server:
        yield server


def post(recorder, body, path="/v1/messages", headers=None, **more):
    connection = http.client.HTTPConnection("127.0.0.1", recorder.port, timeout=5)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, {"x-api-key": "k", **(headers or {})}, **more)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def body_of(dialogue):
    system = {"system": dialogue.system} if dialogue.system is not None else {}
    return {"messages": [{"role": "user", "content": dialogue.user}], **system}


def test_each_dialogue_gets_its_answer(recorder):
    for dialogue in CASE.dialogues:
        status, message = post(recorder, body_of(dialogue))
        assert status == 200
        assert message["content"] == [{"type": "text", "text": dialogue.answer.text}]
        assert message["model"] == (dialogue.answer.model or CASE.model)
        assert message["type"] == "message"
    assert len(recorder.calls()) == len(CASE.dialogues)


@pytest.mark.parametrize(
    "sent", [b"GET /v1/models HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.0\r\n\r\n", b"hello\n\n"]
)
def test_whatever_is_sent_counts(recorder, sent):
    with socket.create_connection(("127.0.0.1", recorder.port), 5) as connection:
        connection.sendall(sent)
        assert connection.recv(100)
    assert (recorder.requests, recorder.calls()) == (1, [])


def test_keys_of_both_headers_are_kept(recorder):
    post(recorder, body_of(CASE.dialogues[0]), headers={"authorization": "Bearer b"})
    assert recorder.calls()[0].keys == ("k", "b")


@pytest.mark.parametrize("value", ["b", "Token b", "Basic b"])
def test_a_key_in_another_scheme_is_no_key(recorder, value):
    post(recorder, body_of(CASE.dialogues[0]), headers={"authorization": value})
    assert "b" not in recorder.calls()[0].keys


def test_a_path_is_kept_as_it_was_sent(recorder):
    assert post(recorder, body_of(CASE.dialogues[0]), path="//v1/messages")[0] == 404
    assert recorder.calls()[0].path == "//v1/messages"


def test_of_two_calls_at_once_the_first_is_answered_last(recorder):
    answered = []

    def ask(dialogue):
        post(recorder, body_of(dialogue))
        answered.append(dialogue)

    first = threading.Thread(target=ask, args=CASE.dialogues[:1])
    first.start()
    while not recorder.calls():
        first.join(0.001)
    ask(CASE.dialogues[1])
    first.join()
    assert answered == [CASE.dialogues[1], CASE.dialogues[0]]


def test_chunked_bodies_are_read(recorder):
    data = json.dumps(body_of(CASE.dialogues[0])).encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
    status, _ = post(
        recorder, chunks, headers={"transfer-encoding": "chunked"}, encode_chunked=False
    )
    assert status == 200


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        ({"messages": [{"role": "user", "content": "?"}]}, "/v1/messages", 400),
        (b"[" * 50_000, "/v1/messages", 400),
        (b"\xff", "/v1/messages", 400),
        ({}, "/v1/other", 404),
    ],
)
def test_what_no_dialogue_asks_for_is_an_error(recorder, body, path, status):
    assert post(recorder, body, path)[0] == status
    assert len(recorder.calls()) == 1


def test_what_is_too_large_to_keep_counts_as_a_call(recorder):
    for dialogue in CASE.dialogues:
        assert post(recorder, body_of(dialogue))[0] == 200
    assert post(recorder, b"x" * (BODY_LIMIT + 1))[0] == 413
    assert post(recorder, body_of(CASE.dialogues[0]))[0] == 413
    calls = recorder.calls()
    assert len(calls) == len(CASE.dialogues) + 2
    assert [call.body for call in calls[-2:]] == [None, None]


def test_too_many_connections_are_hung_up(recorder):
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", recorder.port)
        idle = [stack.enter_context(socket.create_connection(address)) for _ in range(210)]
        assert [connection.recv(1) for connection in idle[200:]] == [b""] * 10
        served = http.client.HTTPConnection(*address)
        served.sock = idle[0]
        served.request("POST", "/v1/messages", json.dumps(body_of(CASE.dialogues[0])))
        assert served.getresponse().status == 200
