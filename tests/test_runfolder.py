"""Room for a new run in a folder, and what is read back of an old one."""

from __future__ import annotations

import pytest

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.runfolder import (
    FILES,
    lock,
    open_folder,
    read_records,
    read_run,
    read_transcripts,
)
from pytest_experiment_profiler.runlog import RunLog, encode, write_whole
from tests.builders import make_dialogue, make_prompt, make_turn, read_lines

# --- a folder


def log_run(folder, client="mock", answer="From clouds."):
    """Leave a run of one dialogue behind."""
    open_folder(folder)
    write_whole(folder / "run.json", encode({"client": client}))
    log = RunLog(folder)
    log.append_dialogues([make_dialogue()])
    log.append_request(0, make_prompt(), "00")
    log.append_response(0, make_turn(answer), "00")
    log.append_scores([(0, {"dialogue_id": "water", "repeat": 0})])
    log.seal()
    write_whole(folder / "summary.json", b"{}")


def list_answers(folder):
    return [line["completion"] for line in read_lines(folder / "responses.jsonl")]


def test_a_run_leaves_the_files_of_the_contract(tmp_path):
    log_run(tmp_path / "demo")
    assert {path.name for path in (tmp_path / "demo").iterdir()} == set(FILES)


def test_answers_of_the_mock_are_replaced(tmp_path):
    log_run(tmp_path, answer="first")
    log_run(tmp_path, answer="second")
    assert list_answers(tmp_path) == ["second"]
    assert not (tmp_path / "history").exists()


@pytest.mark.parametrize("client", ["anthropic", "LocalModel", "replay"])
def test_answers_of_a_real_model_are_kept(tmp_path, client):
    for answer in ("first", "second", "third"):
        log_run(tmp_path, client, answer)
    kept = sorted((tmp_path / "history").iterdir())
    assert sorted(list_answers(folder)[0] for folder in kept) == ["first", "second"]
    assert all({path.name for path in folder.iterdir()} == set(FILES) for folder in kept)
    assert list_answers(tmp_path) == ["third"]


def test_the_mock_does_not_destroy_real_answers(tmp_path):
    log_run(tmp_path, "anthropic", "real")
    log_run(tmp_path, "mock", "script")
    [kept] = (tmp_path / "history").iterdir()
    assert list_answers(kept) == ["real"]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b'"mock"', b'{"client": "mo'])
def test_answers_of_unknown_origin_are_kept(tmp_path, content):
    log_run(tmp_path, "anthropic", "real")
    (tmp_path / "run.json").unlink()
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    open_folder(tmp_path)
    [kept] = (tmp_path / "history").iterdir()
    assert list_answers(kept) == ["real"]


def test_other_files_stay(tmp_path):
    log_run(tmp_path)
    (tmp_path / "notes.md").write_text("mine", "utf-8")
    open_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.md"]


def test_a_partial_run_has_a_folder_of_its_own(tmp_path):
    log_run(tmp_path, "anthropic")
    one, other = open_folder(tmp_path, partial=True), open_folder(tmp_path, partial=True)
    assert one != other
    assert {one.parent, other.parent} == {tmp_path / "partial"}
    assert list_answers(tmp_path) == ["From clouds."]


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "runs").write_text("", "utf-8")
    message = r"demo can't be used as a run folder: .*; choose another with --experiment-output"
    with pytest.raises(RunFolderError, match=message):
        open_folder(tmp_path / "runs" / "demo")
    with pytest.raises(RunFolderError, match=message), lock(tmp_path / "runs" / "demo"):
        pass


def test_two_runs_do_not_share_a_folder(tmp_path):
    with (
        lock(tmp_path),
        pytest.raises(RunFolderError, match="is in use by another run"),
        lock(tmp_path),
    ):
        pass
    with lock(tmp_path):
        pass


# --- reading


def test_a_torn_last_line_is_passed_over(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 0}\n{"n": 1')
    assert list(read_records(path)) == [{"n": 0}]


def test_a_broken_line_is_told(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 0}\n{"n": \n{"n": 2}\n')
    with pytest.raises(RunFolderError, match=r"log\.jsonl:2: not a JSON line"):
        list(read_records(path))


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(RunFolderError, match=r"is no run folder: it holds no run\.json"):
        read_run(tmp_path)
    with pytest.raises(RunFolderError, match=r"is no whole run folder: no log\.jsonl"):
        list(read_records(tmp_path / "log.jsonl"))


def test_a_broken_run_json_is_told(tmp_path):
    (tmp_path / "run.json").write_bytes(b'{"client"')
    with pytest.raises(RunFolderError, match=r"run\.json can't be read"):
        read_run(tmp_path)


def log_turns(folder, *turns, **changes):
    """Log a dialogue with these turns, and read it back from the folder alone."""
    open_folder(folder)
    dialogue = make_dialogue(**changes)
    log = RunLog(folder)
    log.append_dialogues([dialogue])
    for turn in turns:
        log.append_request(0, turn.prompt, "00")
        log.append_response(0, turn, "00")
    log.seal()
    [[transcript]] = read_transcripts(folder, repeats=1)
    assert transcript.dialogue == dialogue
    return transcript


def nth_turn(number, text, stop="end_turn"):
    return make_turn(text, stop=stop, prompt=make_prompt(turn=number))


def test_a_transcript_comes_back(tmp_path):
    transcript = log_turns(tmp_path, nth_turn(0, "1."), nth_turn(1, "2."), turns=("One?", "Two?"))
    assert (transcript.outcome, transcript.text) == ("ok", "1.\n\n2.")


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (nth_turn(1, None), "error"),
        (nth_turn(1, "", stop="refusal"), "ok"),
        (nth_turn(1, "2."), "not_run"),
    ],
    ids=["failed", "refused", "cut short"],
)
def test_what_ended_a_dialogue_is_seen_in_the_logs(tmp_path, last, outcome):
    turns = ("One?", "Two?", "Three?")
    assert log_turns(tmp_path, nth_turn(0, "1."), last, turns=turns).outcome == outcome


def test_a_request_without_an_answer_is_not_run(tmp_path):
    open_folder(tmp_path)
    log = RunLog(tmp_path)
    log.append_dialogues([make_dialogue()])
    log.append_request(0, make_prompt(), "00")
    log.seal()
    [[transcript]] = read_transcripts(tmp_path, repeats=1)
    assert (transcript.outcome, transcript.turns) == ("not_run", ())


def test_repeats_are_read_apart(tmp_path):
    open_folder(tmp_path)
    log = RunLog(tmp_path)
    log.append_dialogues([make_dialogue()])
    for repeat in (1, 0):
        turn = make_turn(f"Answer {repeat}.", prompt=make_prompt(repeat=repeat))
        log.append_request(0, turn.prompt, "00")
        log.append_response(0, turn, "00")
    log.seal()
    [transcripts] = read_transcripts(tmp_path, repeats=2)
    assert [t.text for t in transcripts] == ["Answer 0.", "Answer 1."]
