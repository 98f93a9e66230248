"""The mock: answers from a script, as a service would give them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from pytest_experiment_profiler.clients import choose_client, name_client, open_client
from pytest_experiment_profiler.clients.mock import MockClient
from pytest_experiment_profiler.errors import ClientError, UsageError
from tests.builders import Teller, make_experiment, make_prompt, write_project


@pytest.fixture
def script(tmp_path):
    def write(answers):
        path = tmp_path / "mock_responses.json"
        path.write_text(answers if isinstance(answers, str) else json.dumps(answers), "utf-8")
        return MockClient(path)

    return write


def ask(client, **changes):
    return asyncio.run(client.complete(make_prompt(**changes)))


def test_a_text_is_an_answer(script):
    reply = ask(script({"water": "From clouds."}))
    assert (reply.text, reply.stop_reason, reply.model) == (
        "From clouds.",
        "end_turn",
        "claude-haiku-4-5",
    )
    assert dict(reply.usage) == {}


def test_an_object_says_more(script):
    answer = {
        "completion": "",
        "stop_reason": "refusal",
        "usage": {"input_tokens": 5, "output_tokens": 0},
        "source": "2024",
    }
    reply = ask(script({"water": answer}))
    assert (reply.text, reply.stop_reason) == ("", "refusal")
    assert reply.usage == {"input_tokens": 5, "output_tokens": 0}
    assert reply.metadata == {"source": "2024"}


def test_a_list_answers_turn_by_turn(script):
    client = script({"water": ["One.", {"completion": "Two."}]})
    assert [ask(client, turn=turn).text for turn in (0, 1, 0)] == ["One.", "Two.", "One."]


def test_answers_are_there_without_a_loop(script):
    client = script({"water": {"completion": "From clouds.", "delay_s": 60}, "fire": {"error": {}}})
    assert client.answer(make_prompt()).text == "From clouds."
    with pytest.raises(ClientError, match="scripted error"):
        client.answer(make_prompt(dialogue_id="fire"))


def test_each_repeat_gets_the_same_answer(script):
    client = script({"water": "From clouds."})
    assert [ask(client, repeat=repeat).text for repeat in range(3)] == ["From clouds."] * 3


@pytest.mark.parametrize(
    ("answers", "turn", "message"),
    [
        ({"fire": "x"}, 0, "no mock answer for this dialogue in "),
        ({"watr": "x"}, 0, "did you mean 'watr'?"),
        ({}, 0, "no mock answer for this dialogue in "),
        ({"water": ["x"]}, 1, "no mock answer for turn 1 of this dialogue"),
        ({"water": {"usage": {}}}, 0, "has no completion"),
    ],
)
def test_a_missing_answer_is_an_error_of_its_call(script, answers, turn, message):
    with pytest.raises(ClientError) as caught:
        ask(script(answers), turn=turn)
    error = caught.value
    assert message in str(error)
    assert (error.kind, error.retryable, error.scope) == ("no_mock_answer", False, "call")


def test_without_a_script_every_call_is_an_error():
    with pytest.raises(ClientError, match="no mock answer") as caught:
        ask(MockClient(None))
    assert "None" not in str(caught.value)


def test_an_error_that_passes(script):
    error = {"status": 529, "type": "overloaded_error", "message": "busy", "times": 2}
    client = script({"water": {"completion": "Back.", "error": error | {"retry_after": 3}}})
    for _ in range(2):
        with pytest.raises(ClientError, match="busy") as caught:
            ask(client)
        assert (caught.value.status, caught.value.kind) == (529, "overloaded_error")
        assert (caught.value.retryable, caught.value.retry_after_s) == (True, 3)
    assert ask(client).text == "Back."


def test_an_error_counts_for_each_call_apart(script):
    client = script({"water": {"completion": "Back.", "error": {"times": 1}}})
    for repeat in range(2):
        with pytest.raises(ClientError, match="scripted error"):
            ask(client, repeat=repeat)
    assert ask(client, repeat=0).text == "Back."


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (529, True)],
)
def test_an_error_for_good(script, status, retryable):
    client = script({"water": {"completion": "x", "error": {"status": status}}})
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            ask(client)
        assert caught.value.retryable == retryable


def test_an_answer_may_wait(script):
    client = script({"slow": {"completion": "Slow.", "delay_s": 0.001}, "quick": "Quick."})
    ended = []

    async def ask_one(name):
        ended.append((await client.complete(make_prompt(dialogue_id=name))).text)

    async def ask_both():
        await asyncio.gather(ask_one("slow"), ask_one("quick"))

    asyncio.run(ask_both())
    assert ended == ["Quick.", "Slow."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "can't be read"),
        ("[7]", "must be an object from dialogue_id to an answer, not a list"),
        ('{"water": 7}', "wrong: water must be a text, an object with completion"),
        ('{"water": []}', "wrong: water must be a list of answers, one a turn, not an empty"),
        ('{"water": {"delay_s": -1}}', "water.delay_s must be a number of seconds from 0, not -1"),
        ('{"water": {"error": {"statis": 500}}}', "water: unknown key 'statis' (did you mean"),
        ('{"water": "x",}', "can't be read"),
        ("[" * 100_000, "can't be read"),
    ],
)
def test_a_script_that_is_none_is_told(script, text, message):
    with pytest.raises(UsageError) as caught:
        script(text)
    assert "mock_responses.json" in str(caught.value)
    assert message in str(caught.value)


def test_what_is_wrong_with_each_answer_is_told(script):
    wrong = {f"d{i}": {"completion": "x", "error": {"sttus": 500}} for i in range(9)}
    with pytest.raises(UsageError) as caught:
        script({"d0": "right", "d1": {"completion": 5}, "d2": []} | wrong)
    said = str(caught.value).partition(" are wrong: ")[2].split("; ")
    assert said[0].startswith("d0: unknown key 'sttus' (did you mean 'status'?)")
    assert said[-1] == "and 4 more"


def test_a_dialogue_answered_twice_is_told(script):
    with pytest.raises(UsageError, match="water"):
        script('{"water": "One.", "water": "Other."}')


def test_a_binary_script_is_told(tmp_path):
    path = tmp_path / "mock_responses.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="can't be read"):
        MockClient(path)


def test_a_script_that_is_gone_is_told(tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        MockClient(tmp_path / "mock_responses.json")


def test_the_mock_may_be_asked_for():
    variables = {"ANTHROPIC_API_KEY": "k"}
    choice = choose_client("mock", make_experiment(), variables)
    assert str(choice) == "client: mock (asked for)"
    client = open_client(choice, make_experiment())
    assert (name_client(client), name_client(Teller())) == ("mock", "Teller")


FREE = """
import sys
from pytest_experiment_profiler import cli
code = cli.main(["run", "--config", sys.argv[1], "--output-dir", sys.argv[2]])
print(code, sorted({"anthropic", "httpx2", "aiohttp", "genai_prices"} & set(sys.modules)))
"""


def test_no_network_and_no_sdk_are_loaded(tmp_path):
    command = [sys.executable, "-c", FREE, str(write_project(tmp_path)), str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
