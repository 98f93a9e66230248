"""The stand-in sends what the real SDK sends, and refuses what that refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from grader.places import GRADER
from grader.recorder import Recorder
from tests.grader.builders import CASES

CASE = CASES.live

CALLS = """
import asyncio, json, sys, anthropic
dialogues = json.load(sys.stdin)
head = {"model": "m-1", "max_tokens": 50, "extra_body": {"temperature": 0.25}}
def ask(client, dialogue, raw=False):
    system = {"system": dialogue["system"]} if dialogue["system"] else {}
    messages = client.messages.with_raw_response if raw else client.messages
    said = [{"role": "user", "content": dialogue["user"]}]
    return messages.create(messages=said, **system, **head)
async def ask_all(rest):
    async with anthropic.AsyncAnthropic() as client:
        first = await ask(client, rest[0])
        second = await (await ask(client, rest[1], raw=True)).parse()
        return [first, second]
with anthropic.Anthropic(max_retries=0) as client:
    found = [ask(client, dialogues[0]), ask(client, dialogues[1], raw=True).parse()]
    refused = []
    for wrong in ({"temperature": 1}, {"colour": 1}):
        try:
            client.messages.create(messages=[], model="m", max_tokens=1, **wrong)
        except TypeError:
            refused.append("TypeError")
    try:
        client.messages.create(messages=[{"role": "user", "content": "?"}], model="m", max_tokens=1)
    except anthropic.BadRequestError as error:
        refused.append([error.status_code, isinstance(error, anthropic.APIStatusError)])
found += asyncio.run(ask_all(dialogues[2:4]))
print(json.dumps([refused, [
    [m.content[0].text, m.content[0].type, m.model, m.stop_reason, m.role, m.usage.input_tokens]
    for m in found
]]))
"""


def speak(*, stand_in):
    dialogues = [{"user": d.user, "system": d.system} for d in CASE.dialogues[:4]]
    with Recorder(CASE) as recorder:
        environment = {
            **os.environ,
            "ANTHROPIC_API_KEY": "k-1",
            "ANTHROPIC_BASE_URL": recorder.url,
            "PYTHONPATH": str(GRADER / "stand_in") if stand_in else "",
        }
        done = subprocess.run(
            [sys.executable, "-B", "-c", CALLS],
            input=json.dumps(dialogues),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        calls = [(call.path, call.keys, call.body) for call in recorder.calls()]
    return json.loads(done.stdout), calls


def test_both_put_the_same_on_the_wire_and_give_the_same_back():
    pytest.importorskip("anthropic")
    ours, our_calls = speak(stand_in=True)
    theirs, their_calls = speak(stand_in=False)
    assert our_calls == their_calls
    assert ours == theirs
    assert ours[0] == ["TypeError", "TypeError", [400, True]]
