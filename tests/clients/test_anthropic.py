"""The Messages API over a real wire: a server on the loopback instead of the service."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pytest_experiment_profiler import cli
from pytest_experiment_profiler.clients import choose_client, open_client
from pytest_experiment_profiler.clients.anthropic import AnthropicClient
from pytest_experiment_profiler.errors import ClientError, UsageError
from pytest_experiment_profiler.experiment import Message
from tests.builders import make_experiment, make_prompt, write_project
from tests.loopback import KEY, Answer, fail, say, serve


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    return monkeypatch


def ask(server, *prompts, environment):
    """Send prompts one after the other; return the replies and errors."""
    environment.setenv("ANTHROPIC_BASE_URL", server.url)

    async def ask_all():
        client = AnthropicClient(30.0)
        try:
            return [await try_one(client, prompt) for prompt in prompts or (make_prompt(),)]
        finally:
            await client.aclose()

    return asyncio.run(ask_all())


async def try_one(client, prompt):
    try:
        return await client.complete(prompt)
    except ClientError as error:
        return error


def ask_once(*script, environment, prompt=None):
    with serve(*script) as server:
        [result] = ask(server, prompt or make_prompt(), environment=environment)
        return result, server


# --- what is sent


def test_a_prompt_is_sent_as_it_is(environment):
    messages = (
        Message(role="user", content="One?"),
        Message(role="assistant", content="1."),
        Message(role="user", content="Zwei? 🌍"),
    )
    prompt = make_prompt(system="Be brief.", messages=messages, max_tokens=77)
    _, server = ask_once(say(), environment=environment, prompt=prompt)
    [received] = server.received
    assert received.path == "/v1/messages"
    assert received.body == {
        "model": "claude-haiku-4-5",
        "max_tokens": 77,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "1."},
            {"role": "user", "content": "Zwei? 🌍"},
        ],
    }


@pytest.mark.parametrize("temperature", [0.0, 0.2, 1.0])
def test_a_temperature_goes_with_the_version_that_takes_it(environment, temperature):
    prompt = make_prompt(temperature=temperature)
    _, server = ask_once(say(), environment=environment, prompt=prompt)
    [received] = server.received
    assert received.body["temperature"] == temperature
    assert received.headers["anthropic-version"] == "2023-06-01"


def test_a_temperatures_version_wins_over_custom_headers(environment):
    environment.setenv("ANTHROPIC_CUSTOM_HEADERS", "anthropic-version: 2026-10-21")
    prompt = make_prompt(temperature=0.2)
    _, server = ask_once(say(), environment=environment, prompt=prompt)
    assert server.received[0].headers["anthropic-version"] == "2023-06-01"


def test_custom_headers_win_in_any_case(environment):
    environment.setenv("ANTHROPIC_CUSTOM_HEADERS", "USER-agent: mine/1\nx-team: rain")
    _, server = ask_once(say(), environment=environment)
    headers = server.received[0].headers
    assert (headers["user-agent"], headers["x-team"]) == ("mine/1", "rain")


def test_without_a_temperature_nothing_is_sent_of_it(environment):
    _, server = ask_once(say(), environment=environment)
    [received] = server.received
    assert set(received.body) == {"model", "max_tokens", "messages"}
    assert received.headers["anthropic-version"] != "2023-06-01"


def test_a_key_travels_as_a_bearer_token(environment):
    _, server = ask_once(say(), environment=environment)
    headers = server.received[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in headers


def test_a_token_does_as_well_as_a_key(environment):
    environment.delenv("ANTHROPIC_API_KEY")
    environment.setenv("ANTHROPIC_AUTH_TOKEN", "token-1")
    _, server = ask_once(say(), environment=environment)
    assert server.received[0].headers["authorization"] == "Bearer token-1"


def test_a_call_is_one_request_whatever_comes_back(environment):
    _, server = ask_once(fail(529, "overloaded_error", "Overloaded"), environment=environment)
    assert len(server.received) == 1


def test_many_calls_overlap_on_one_client(environment):
    with serve(say()) as server:
        environment.setenv("ANTHROPIC_BASE_URL", server.url)

        async def ask_all():
            client = AnthropicClient(30.0)
            prompts = [make_prompt(f"{n}?", dialogue_id=f"d{n}") for n in range(50)]
            try:
                return await asyncio.gather(*(client.complete(prompt) for prompt in prompts))
            finally:
                await client.aclose()

        replies = asyncio.run(ask_all())
    assert len(replies) == len(server.received) == 50


# --- what comes back


def test_a_message_is_a_reply(environment):
    reply, _ = ask_once(say("From clouds."), environment=environment)
    assert (reply.text, reply.stop_reason) == ("From clouds.", "end_turn")
    assert reply.usage == {"input_tokens": 12, "output_tokens": 7}
    assert (reply.request_id, reply.model) == ("req_01", "claude-haiku-4-5-20251001")


def test_thinking_is_kept_apart_from_the_text(environment):
    blocks = [
        {"type": "thinking", "thinking": "Rain, so clouds.", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "From "},
        {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        {"type": "text", "text": "clouds."},
    ]
    reply, _ = ask_once(say(blocks=blocks), environment=environment)
    assert reply.text == "From clouds."
    assert reply.metadata["thinking"] == "Rain, so clouds."


@pytest.mark.parametrize("details", [{"type": "refusal", "category": "bio"}, None])
def test_a_refusal_is_a_reply_without_text(environment, details):
    answer = say(blocks=[], stop_reason="refusal", stop_details=details)
    reply, _ = ask_once(answer, environment=environment)
    assert (reply.text, reply.stop_reason) == ("", "refusal")
    assert reply.metadata.get("stop_details") == details


@pytest.mark.parametrize("reason", ["max_tokens", "pause_turn", "something_new", None])
def test_any_stop_reason_is_kept(environment, reason):
    reply, _ = ask_once(say(stop_reason=reason), environment=environment)
    assert reply.stop_reason == reason


def test_unknown_blocks_and_keys_are_no_matter(environment):
    blocks = [{"type": "hologram", "beam": 1}, {"type": "text", "text": "x", "citations": None}]
    reply, _ = ask_once(say(blocks=blocks, further={"key": 1}), environment=environment)
    assert reply.text == "x"


def test_odd_text_survives_the_wire(environment):
    text = "\ud83c lone, \x00, \u2028, 🌍, " + "x" * 1_000_000
    reply, _ = ask_once(say(text), environment=environment)
    assert reply.text == text


HTML = b"<html><body>Sign in to the guest network</body></html>"


NO_MESSAGES = {
    "page": HTML,
    "nothing": b"",
    "empty object": b"{}",
    "null": b"null",
    "array": b"[]",
    "cut": b'{"type": "message"',
    "error": b'{"type": "error", "error": {}}',
    "binary": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "no blocks": b'{"type": "message", "content": [1], "usage": {}}',
    "no usage": b'{"type": "message", "content": [], "usage": null}',
    "odd end": b'{"type": "message", "content": [], "usage": {}, "stop_reason": []}',
    "no text": b'{"type": "message", "content": [{"type": "text", "text": null}], "usage": {}}',
}


@pytest.mark.parametrize("body", NO_MESSAGES.values(), ids=list(NO_MESSAGES))
def test_a_200_that_is_no_message_is_an_error_worth_another_try(environment, body):
    error, _ = ask_once(Answer(body=body), environment=environment)
    assert isinstance(error, ClientError)
    assert (error.retryable, error.scope, error.status) == (True, "call", 200)
    assert len(str(error)) < 1000


def test_an_attempt_keeps_the_status_that_came(environment):
    error, _ = ask_once(Answer(body=b"", status=204), environment=environment)
    assert (error.kind, error.status) == ("not_a_message", 204)


def test_what_came_instead_of_a_message_is_shown(environment):
    error, _ = ask_once(Answer(body=HTML), environment=environment)
    assert "Sign in to the guest network" in str(error)


# --- failures


@pytest.mark.parametrize(
    ("answer", "retryable", "scope", "kind"),
    [
        (fail(400, "invalid_request_error", "max_tokens: too large"), False, "call", None),
        (fail(401, "authentication_error", "invalid bearer token"), False, "account", None),
        (fail(402, "billing_error", "no credit"), False, "account", None),
        (fail(403, "permission_error", "not allowed"), False, "account", None),
        (fail(404, "not_found_error", "model: claude-nobody"), False, "run", None),
        (fail(408, "timeout_error", "timed out"), True, "call", None),
        (fail(409, "conflict_error", "conflict"), True, "call", None),
        (fail(413, "request_too_large", "too large"), False, "call", None),
        (fail(429, "rate_limit_error", "slow down"), True, "call", None),
        (fail(500, "api_error", "internal"), True, "call", None),
        (fail(529, "overloaded_error", "Overloaded"), True, "call", None),
        (fail(400, "invalid_request_error", "no", x_should_retry="true"), True, "call", None),
        (fail(401, "authentication_error", "no", x_should_retry="true"), False, "account", None),
        (fail(429, "rate_limit_error", "no", x_should_retry="false"), False, "account", None),
        (fail(529, "overloaded_error", "no", x_should_retry="false"), False, "call", None),
        (
            fail(429, "rate_limit_error", "grows too fast", code="ramp_limit_exceeded"),
            True,
            "call",
            "ramp_limit_exceeded",
        ),
        (
            fail(429, "rate_limit_error", "spent", code="enforced_spend_limit_reached"),
            False,
            "account",
            "enforced_spend_limit_reached",
        ),
        (
            fail(
                429,
                "rate_limit_error",
                "spent",
                code="contract_spend_limit_reached",
                x_should_retry="true",
            ),
            False,
            "account",
            "contract_spend_limit_reached",
        ),
    ],
)
def test_failures_say_whether_to_try_again_and_whom_they_concern(
    environment, answer, retryable, scope, kind
):
    error, _ = ask_once(answer, environment=environment)
    assert isinstance(error, ClientError)
    assert (error.status, error.retryable, error.scope) == (answer.status, retryable, scope)
    assert error.kind == (kind or answer.body.decode().split('"type": "')[2].split('"')[0])
    assert str(error) in answer.body.decode()


@pytest.mark.parametrize(
    "message",
    [
        "temperature: Extra inputs are not permitted",
        "`temperature` is deprecated for this model.",
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
    ],
)
def test_a_temperature_that_is_refused_concerns_the_run(environment, message):
    error, _ = ask_once(fail(400, "invalid_request_error", message), environment=environment)
    assert (error.status, error.retryable, error.scope) == (400, False, "run")
    assert str(error) == message


@pytest.mark.parametrize("status", [400, 429])
@pytest.mark.parametrize(
    "message",
    [
        "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
        "Your credit balance is too low to access the API.",
        "The workspace's spend limit was reached.",
    ],
)
def test_money_that_is_spent_concerns_the_account(environment, status, message):
    error, _ = ask_once(fail(status, "invalid_request_error", message), environment=environment)
    assert (error.retryable, error.scope, str(error)) == (False, "account", message)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after_ms": "0", "retry_after": "7"}, 7.0),
        ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0),
        ({"retry_after": "1e400"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "0"}, None),
        ({"retry_after": "tomorrow"}, None),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_the_headers(environment, headers, seconds):
    error, _ = ask_once(fail(429, "rate_limit_error", "x", **headers), environment=environment)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("form", ["GMT", "+0000", "-0000"])
def test_a_date_to_wait_for_is_seconds_from_now(environment, form):
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    answer = fail(429, "rate_limit_error", "x", retry_after=date.replace("GMT", form))
    error, _ = ask_once(answer, environment=environment)
    assert 3500 < error.retry_after_s <= 3600


def tell_limit(limit, remaining, reset, kind="requests"):
    start = f"anthropic_ratelimit_{kind}"
    return {f"{start}_limit": limit, f"{start}_remaining": remaining, f"{start}_reset": reset}


@pytest.mark.parametrize("kind", ["requests", "tokens", "input-tokens", "output-tokens"])
def test_a_rate_limit_is_read_from_the_headers(environment, kind):
    headers = tell_limit("50", "7", "2000-01-01T00:00:00Z", kind.replace("-", "_"))
    error, _ = ask_once(fail(429, "rate_limit_error", "x", **headers), environment=environment)
    assert error.limits == ((kind, 50.0, 7.0, 0.0),)


@pytest.mark.parametrize(
    "told",
    [
        ("0", "0", "2000-01-01T00:00:00Z"),
        ("50", "-1", "2000-01-01T00:00:00Z"),
        ("50", "51", "2000-01-01T00:00:00Z"),
        ("nan", "nan", "2000-01-01T00:00:00Z"),
        ("many", "few", "soon"),
        ("50", "7", "2000-01-01T00:00:00"),
    ],
)
def test_a_rate_limit_that_can_be_none_is_left_out(environment, told):
    answer = fail(429, "rate_limit_error", "x", **tell_limit(*told))
    error, _ = ask_once(answer, environment=environment)
    assert error.limits == ()


def test_a_proxys_page_is_an_error_that_shows_it(environment):
    answer = Answer(body=HTML, status=502, headers={"content-type": "text/html"})
    error, _ = ask_once(answer, environment=environment)
    assert (error.status, error.retryable) == (502, True)
    assert "Sign in to the guest network" in str(error)


def test_an_error_object_without_the_usual_keys_is_an_error(environment):
    for body in (b"", b"[]", b'{"error": "text"}', b'{"error": {"message": 7}}', b"\xff"):
        error, _ = ask_once(Answer(body=body, status=500), environment=environment)
        assert isinstance(error, ClientError), body
        assert (error.status, error.retryable) == (500, True)


def test_an_answer_cut_short_is_worth_another_try(environment):
    whole = say()
    error, _ = ask_once(Answer(body=whole.body, cut=True), environment=environment)
    assert isinstance(error, ClientError)
    assert (error.retryable, error.scope) == (True, "call")


def test_an_answer_that_never_began_may_be_billed(environment):
    with serve(say(), Answer(body=b"", dropped=True)) as server:
        _, fresh = ask(server, make_prompt(), make_prompt(), environment=environment)
    assert isinstance(fresh, ClientError)
    assert (fresh.retryable, fresh.lost, fresh.kind) == (True, True, "APIConnectionError")


def test_nobody_listening_is_worth_another_try(environment):
    with serve(say()) as server:
        url = server.url
    server.url = url
    [error] = ask(server, environment=environment)
    assert isinstance(error, ClientError)
    assert (error.retryable, error.status, error.lost) == (True, None, False)
    assert url in str(error)


def test_a_client_works_on_after_a_failure(environment):
    script = (fail(529, "overloaded_error", "Overloaded"), Answer(body=HTML), say("Back."))
    with serve(*script) as server:
        prompts = [make_prompt()] * 3
        *errors, reply = ask(server, *prompts, environment=environment)
    assert all(isinstance(error, ClientError) for error in errors)
    assert reply.text == "Back."


# --- before any request


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", "   ", "key with\ttab", "schlüssel"])
@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(environment, name, key):
    environment.delenv("ANTHROPIC_API_KEY")
    environment.setenv(name, key)
    with pytest.raises(UsageError, match=name) as caught:
        AnthropicClient(30.0)
    assert key.strip() == "" or key.strip() not in str(caught.value)


def test_no_credentials_are_told(monkeypatch, tmp_path):
    for name in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(UsageError, match="no credentials: set one of ANTHROPIC_API_KEY"):
        AnthropicClient(30.0)


def test_a_profile_that_is_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_PROFILE", "nobody")
    with pytest.raises(UsageError, match="the credentials can't be used"):
        AnthropicClient(30.0)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/v1",
        "http://127.0.0.1:1/v1/",
        "localhost:80",
        "http://[::1",
        "http://127.0.0.1:port",
        "http://a b",
    ],
)
def test_a_base_url_that_cannot_work_is_told(environment, url):
    environment.setenv("ANTHROPIC_BASE_URL", url)
    with pytest.raises(UsageError, match="ANTHROPIC_BASE_URL"):
        AnthropicClient(30.0)


@pytest.mark.parametrize("path", ["", "/v1"])
def test_a_base_url_with_a_password_is_told_without_it(environment, path):
    environment.setenv("ANTHROPIC_BASE_URL", f"http://me:secret@127.0.0.1:1{path}")
    with pytest.raises(UsageError, match="must hold no user and password") as caught:
        AnthropicClient(30.0)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, "client: anthropic (claude-haiku-4-5)"),
        ({"ANTHROPIC_AUTH_TOKEN": "k"}, "client: anthropic (claude-haiku-4-5)"),
        ({"ANTHROPIC_PROFILE": "k"}, "client: anthropic (claude-haiku-4-5)"),
        (
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://127.0.0.1:8080/"},
            "client: anthropic (claude-haiku-4-5) at http://127.0.0.1:8080",
        ),
        (
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://api.anthropic.com"},
            "client: anthropic (claude-haiku-4-5)",
        ),
        ({"ANTHROPIC_API_KEY": ""}, "client: mock (no credentials)"),
        ({}, "client: mock (no credentials)"),
    ],
)
def test_auto_goes_by_the_environment(tmp_path, variables, line):
    experiment = make_experiment(mock_responses=tmp_path / "mock_responses.json")
    assert str(choose_client("auto", experiment, variables)) == line


def test_why_names_the_variable_and_not_what_it_holds():
    variables = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": "secret"}
    assert choose_client("auto", make_experiment(), variables).why == "ANTHROPIC_AUTH_TOKEN is set"


def test_a_base_urls_password_is_not_shown():
    variables = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://me:secret@127.0.0.1:80"}
    assert "secret" not in str(choose_client("auto", make_experiment(), variables))


def test_auto_with_nothing_says_what_to_do():
    with pytest.raises(
        UsageError, match=r"set ANTHROPIC_API_KEY .* or write .*mock_responses\.json"
    ):
        choose_client("auto", make_experiment(), {})


def test_the_catalogue_opens_it(environment):
    environment.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    choice = choose_client("anthropic", make_experiment(), os.environ)
    assert choice.why == "asked for"
    assert isinstance(open_client(choice, make_experiment()), AnthropicClient)


# --- a whole run


def test_a_run_is_clean_of_warnings_and_of_the_key(tmp_path):
    manifest = write_project(tmp_path, model="claude-sonnet-4-5", temperature=0.2)
    command = [sys.executable, "-W", "error", "-m", "pytest_experiment_profiler", "run"]
    command += ["--config", str(manifest), "--output-dir", str(tmp_path / "runs")]
    with serve(say("It is fact0, fact1 and fact2.")) as server:
        variables = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": KEY}
        variables |= {"PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | variables
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"client: anthropic (claude-sonnet-4-5) at {server.url}"
    assert len(server.received) == 3
    files = (tmp_path / "runs" / "demo_run").iterdir()
    kept = done.stdout + "".join(path.read_text("utf-8") for path in files)
    assert KEY not in kept


def test_a_wrong_key_costs_few_calls(environment, tmp_path, capsys):
    manifest = write_project(tmp_path, 200, concurrency=2)
    with serve(fail(401, "authentication_error", "invalid bearer token")) as server:
        environment.setenv("ANTHROPIC_BASE_URL", server.url)
        code = cli.main(["run", "--config", str(manifest), "--output-dir", str(tmp_path / "runs")])
    assert code == 1
    assert len(server.received) <= 2
    said = capsys.readouterr()
    assert "invalid bearer token" in said.err
    assert KEY not in said.out + said.err
