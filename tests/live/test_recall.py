"""What a run folder remembers of its calls, however the run ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.experiment import Attempt, Failure, Reply
from pytest_experiment_profiler.recall import LOST, Call, Recall
from pytest_experiment_profiler.records import hash_prompt
from pytest_experiment_profiler.runlog import RunLog
from tests.builders import make_prompt, make_turn

OK = Attempt(status=200, error=None, waited_s=0.0)
BUSY = Attempt(status=529, error="overloaded_error: busy", waited_s=0.5)
CUT = Attempt(status=None, error="APIConnectionError: cut", waited_s=0.5, lost=True)


def call_of(prompt):
    digest = hash_prompt(prompt, "anthropic")
    return Call(prompt.dialogue_id, prompt.repeat, prompt.turn, digest)


class Folder:
    """A run folder that is written call by call."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)
        self.log = RunLog(path)

    def send(self, prompt, *attempts, position=0):
        self.log.append_request(position, prompt, call_of(prompt).prompt_hash, attempts)

    def end(self, prompt, *attempts, text="From clouds.", position=0):
        failure = None if text else Failure(type="overloaded_error", message="busy")
        reply = Reply(text=text) if text else None
        turn = make_turn(prompt=prompt, reply=reply, error=failure, attempts=attempts)
        self.log.append_response(position, turn, call_of(prompt).prompt_hash)

    def recall(self):
        return Recall(self.path)


@pytest.fixture
def folder(tmp_path):
    written = Folder(tmp_path / "run")
    yield written
    written.log.seal()


PROMPT = make_prompt()


def look_up(folder, prompt=PROMPT):
    recall = folder.recall()
    turn, attempts = recall.recorded(call_of(prompt)), recall.attempts(call_of(prompt))
    told = {call_of(turn.prompt): turn.attempts for _, turn in recall.turns()}
    recall.close()
    assert told.get(call_of(prompt), ()) == attempts
    return turn, attempts


def test_an_answer_is_remembered(folder):
    folder.send(PROMPT)
    folder.end(PROMPT, OK)
    turn, attempts = look_up(folder)
    assert (turn.reply.text, turn.prompt, turn.attempts) == ("From clouds.", PROMPT, (OK,))
    assert attempts == (OK,)


def test_an_empty_folder_remembers_nothing(folder):
    assert look_up(folder) == (None, ())


def test_an_answer_to_another_prompt_is_none(folder):
    folder.send(PROMPT)
    folder.end(PROMPT, OK)
    assert look_up(folder, make_prompt(temperature=0.5)) == (None, ())
    assert look_up(folder, make_prompt(repeat=1)) == (None, ())


def test_a_request_without_an_answer_was_lost(folder):
    folder.send(PROMPT)
    assert look_up(folder) == (None, (LOST,))


def test_attempts_before_one_that_was_lost_are_remembered(folder):
    folder.send(PROMPT)
    folder.send(PROMPT, BUSY)
    folder.send(PROMPT, BUSY, CUT)
    assert look_up(folder) == (None, (BUSY, CUT, LOST))


def test_what_was_lost_before_an_answer_stands_in_its_attempts(folder):
    folder.send(PROMPT)
    folder.send(PROMPT, CUT)
    folder.end(PROMPT, CUT, OK)
    turn, attempts = look_up(folder)
    assert turn.attempts == attempts == (CUT, OK)


def test_what_was_lost_after_a_failure_counts(folder):
    folder.send(PROMPT)
    folder.end(PROMPT, BUSY, BUSY, text="")
    folder.send(PROMPT, BUSY, BUSY)
    turn, attempts = look_up(folder)
    assert (turn.error.type, attempts) == ("overloaded_error", (BUSY, BUSY, LOST))


def test_the_last_of_several_answers_counts(folder):
    folder.send(PROMPT)
    folder.end(PROMPT, BUSY, text="")
    folder.send(PROMPT, BUSY)
    folder.end(PROMPT, BUSY, OK, text="Again.")
    turn, attempts = look_up(folder)
    assert (turn.reply.text, attempts) == ("Again.", (BUSY, OK))


def test_the_nearest_call_is_the_last_one_sent_for_its_turn(folder):
    folder.send(PROMPT)
    folder.send(make_prompt("What is rain?"))
    recall = folder.recall()
    nearest = recall.nearest(make_prompt("And snow?"))
    assert nearest["prompt"]["user"] == "What is rain?"
    assert recall.nearest(make_prompt(turn=1)) is None
    assert recall.dialogue_ids == ["water"]
    recall.close()


def test_a_folder_without_logs_remembers_nothing(tmp_path):
    recall = Recall(tmp_path)
    assert recall.recorded(call_of(PROMPT)) is None
    assert list(recall.turns()) == []
    recall.close()


@pytest.mark.parametrize("line", [b"{}\n", b"not JSON\n", b"[1]\n", b"null\n"])
def test_a_line_that_is_none_is_told_with_its_place(folder, line):
    folder.send(PROMPT)
    path = folder.path / "requests.jsonl"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(RunFolderError, match=rf"requests.jsonl, byte {size}: not a line of a log"):
        folder.recall()


@given(st.data())
def test_wherever_a_file_is_cut_what_is_whole_is_remembered(tmp_path_factory, data):
    folder = Folder(tmp_path_factory.mktemp("runs") / "run")
    prompts = [make_prompt(f"Question {n}?", dialogue_id=f"d{n}") for n in range(4)]
    for position, prompt in enumerate(prompts):
        folder.send(prompt, position=position)
        folder.end(prompt, OK, position=position)
    folder.log.seal()
    path = folder.path / "responses.jsonl"
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    found = [look_up(folder, prompt) for prompt in prompts]
    assert [turn is not None for turn, _ in found] == [n < whole for n in range(4)]
    assert [attempts for _, attempts in found] == [
        (OK,) if n < whole else (LOST,) for n in range(4)
    ]
