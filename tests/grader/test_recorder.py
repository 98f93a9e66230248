"""The recorder answers as the Messages API does, and keeps what was sent."""

from __future__ import annotations

import http.client
import json

import pytest

from grader.recorder import Recorder
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
    return {"messages": [{"role": "user", "content": dialogue.user}]}


def test_each_dialogue_gets_its_answer(recorder):
    for dialogue in CASE.dialogues:
        status, message = post(recorder, body_of(dialogue))
        assert status == 200
        assert message["content"] == [{"type": "text", "text": dialogue.answer.text}]
        assert message["model"] == (dialogue.answer.model or CASE.model)
        assert message["type"] == "message"
    assert len(recorder.calls()) == len(CASE.dialogues)


def test_keys_of_both_headers_are_kept(recorder):
    post(recorder, body_of(CASE.dialogues[0]), headers={"authorization": "Bearer b"})
    assert recorder.calls()[0].keys == ("k", "b")


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
