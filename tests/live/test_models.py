"""Which models take a temperature, which are to end, and whether the credentials will do."""

from __future__ import annotations

import pytest

from tests.builders import write_project
from tests.live.service import KEY


@pytest.mark.parametrize(
    "model", ["claude-haiku-4-5", "claude-sonnet-4-6", "claude-haiku-4-5-20251001", "claude-odd-9"]
)
def test_a_temperature_goes_where_it_may_be_taken(service, shell, project, model):
    api = service(bodies=[])
    assert shell(project(2, model=model, temperature=0.3)).code == 0
    assert [body["temperature"] for body in api.bodies] == [0.3, 0.3]


def test_without_one_none_is_sent(service, shell, project):
    api = service(bodies=[])
    assert shell(project(2)).code == 0
    assert all("temperature" not in body for body in api.bodies)


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-sonnet-5-5", "claude-fable-5-2"])
def test_a_model_known_to_reject_it_is_an_error_of_the_manifest(service, shell, project, model):
    api = service()
    ended = shell(project(2, model=model, temperature=0.3))
    assert (ended.code, api.requests) == (2, 0)
    assert "temperature" in ended.err
    assert "claude-haiku-4-5" in ended.err
    assert ended.err.startswith(str(ended.folder.parent.parent / "project"))


def test_an_unknown_model_that_rejects_it_fails_at_once(service, shell, project):
    api = service(faults={"temperature": 1.0})
    ended = shell(project(200, model="claude-odd-9", temperature=0.3, concurrency=64))
    assert ended.code == 1
    assert api.requests <= 32
    assert set(api.asked.values()) == {1}
    assert "`temperature` is deprecated for this model." in ended.err


CREDENTIALS = {
    "missing": {},
    "empty": {"ANTHROPIC_API_KEY": ""},
    "a line feed": {"ANTHROPIC_API_KEY": "sk-secret\n"},
    "blank": {"ANTHROPIC_API_KEY": "   "},
    "letters no key has": {"ANTHROPIC_API_KEY": "sk-s\u00e9cret"},
    "a bad token": {"ANTHROPIC_AUTH_TOKEN": "secret "},
}


@pytest.mark.parametrize("name", CREDENTIALS)
def test_bad_credentials_are_told_before_the_first_call(service, shell, project, monkeypatch, name):
    api = service()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("HOME", str(project(1, folder="home").parent))
    for variable, value in CREDENTIALS[name].items():
        monkeypatch.setenv(variable, value)
    ended = shell(project(2), "--client", "anthropic")
    assert (ended.code, api.requests) == (2, 0)
    assert "secret" not in ended.out + ended.err
    assert "ANTHROPIC_" in ended.err


@pytest.mark.parametrize("fault", ["401-echo", "500-echo"])
def test_a_key_that_the_service_says_again_is_shown_nowhere(service, shell, project, fault):
    service(faults={fault: 1.0})
    ended = shell(project(2, timeout=0.5))
    kept = [path.read_text("utf-8") for path in ended.folder.iterdir()]
    assert "Bearer [redacted]" in ended.err or "token [redacted]" in ended.err
    assert not any(KEY in text for text in [ended.out, ended.err, *kept])


def test_a_key_in_an_answer_is_in_no_later_prompt(service, shell, project):
    api = service(faults={"echo": 1.0}, bodies=[])
    ended = shell(project([{"dialogue_id": "d", "turns": ["one?", "two?"]}]))
    assert (ended.code, KEY in str(api.bodies[1]["messages"])) == (0, False)


def test_a_models_end_is_a_line_not_a_crash(service, project, pytester):
    api = service()
    manifest = project(2, model="claude-sonnet-4-5")
    result = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-W", "error", f"--experiment={manifest}"
    )
    assert (result.ret, api.requests) == (0, 2)
    result.stdout.fnmatch_lines(["*claude-sonnet-4-5 is deprecated and ends on 2026-11-30*"])


def test_the_mock_needs_none_of_it(shell, tmp_path):
    manifest = write_project(tmp_path / "p", 2, model="claude-sonnet-4-5")
    ended = shell(manifest)
    assert ended.code == 0
    assert "deprecated" not in ended.out
