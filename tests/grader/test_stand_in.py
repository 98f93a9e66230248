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


UTILITIES = """
import asyncio, json, sys
from pytest_experiment_profiler.clients.anthropic import AnthropicClient
from pytest_experiment_profiler.errors import ClientError
from pytest_experiment_profiler.experiment import Message, Prompt
def prompt(dialogue):
    said = (Message(role="user", content=dialogue["user"]),)
    whose = {"dialogue_id": "d", "turn": 0, "repeat": 0}
    settings = {"model": "m-1", "max_tokens": 50, "temperature": 0.25}
    return Prompt(system=dialogue["system"], messages=said, **settings, **whose)
async def ask_all(dialogues):
    client = AnthropicClient(9)
    found = [await client.complete(prompt(dialogue)) for dialogue in dialogues]
    try:
        await client.complete(prompt({"user": "?", "system": None}))
    except ClientError as error:
        found.append(error)
    await client.aclose()
    return found
*replies, refused = asyncio.run(ask_all(json.load(sys.stdin)))
shown = [[one.text, one.model, one.stop_reason, one.usage] for one in replies]
print(json.dumps([shown, str(refused), refused.status, refused.retryable]))
"""


def speak(script, *, stand_in):
    dialogues = [{"user": d.user, "system": d.system} for d in CASE.dialogues[:4]]
    with Recorder(CASE) as recorder:
        environment = {
            **os.environ,
            "ANTHROPIC_API_KEY": "k-1",
            "ANTHROPIC_BASE_URL": recorder.url,
            "PYTHONPATH": str(GRADER / "stand_in") if stand_in else "",
        }
        done = subprocess.run(
            [sys.executable, "-B", "-c", script],
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


@pytest.mark.parametrize("script", [CALLS, UTILITIES], ids=["sdk", "utilities"])
def test_both_put_the_same_on_the_wire_and_give_the_same_back(script):
    pytest.importorskip("anthropic")
    ours, our_calls = speak(script, stand_in=True)
    theirs, their_calls = speak(script, stand_in=False)
    assert our_calls == their_calls
    assert ours == theirs


def test_both_refuse_the_same_arguments():
    (refused, _), _ = speak(CALLS, stand_in=True)
    assert refused == ["TypeError", "TypeError", [400, True]]
