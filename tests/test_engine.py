"""A run: what overlaps, in which order it is told, how it stops, what is lost and what isn't."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading

import pytest

from pytest_experiment_profiler.errors import ClientError, RunFolderError
from pytest_experiment_profiler.experiment import Reply
from pytest_experiment_profiler.launch import Setting, start_run
from pytest_experiment_profiler.loop import LoopThread
from pytest_experiment_profiler.manifest import check_manifest
from pytest_experiment_profiler.reports.table import list_notes
from tests.builders import BlockingTeller, Teller, limit_files, read_lines, write_project


@pytest.fixture
def loop():
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def start(tmp_path, loop):
    """Start a run of so many dialogues with a client."""

    def start_one(client, dialogues=3, own_metrics=None, output=None, **keys):
        manifest = write_project(tmp_path / "project", dialogues, **keys)
        setting = Setting(
            client=client,
            why="test",
            base_url=None,
            output=output or tmp_path / "runs",
            loop=loop,
            own_metrics=own_metrics or {},
        )
        return start_run(check_manifest(manifest, tmp_path), setting)

    return start_one


def take(run):
    """Take a run's transcripts; fail where nothing comes any more."""
    ticks = iter(range(100))

    def look() -> None:
        if next(ticks, None) is None:
            pytest.fail("the run hangs")

    yield from run.take_transcripts(look)


def list_ids(run):
    return [transcripts[0].dialogue.dialogue_id for transcripts in take(run)]


def read_log(run, name):
    return read_lines(run.folder / f"{name}.jsonl")


def read_summary(run):
    return json.loads((run.folder / "summary.json").read_text("utf-8"))


# --- order and overlap


def test_the_garbage_collector_is_left_as_it_was(start):
    before = list(gc.callbacks)
    run = start(Teller())
    assert gc.get_freeze_count()
    list(take(run))
    run.finish()
    assert (gc.get_freeze_count(), gc.callbacks) == (0, before)


class Backwards(Teller):
    """Answers the last dialogue first: each call waits for the one after it."""

    def __init__(self, count):
        super().__init__()
        self.ended = [asyncio.Event() for _ in range(count + 1)]
        self.ended[count].set()

    async def complete(self, prompt):
        number = int(prompt.dialogue_id[1:])
        await self.ended[number + 1].wait()
        reply = await super().complete(prompt)
        self.ended[number].set()
        return reply


def test_transcripts_come_in_dataset_order_whatever_ends_first(start):
    client = Backwards(8)
    run = start(client, 8)
    assert list_ids(run) == [f"d{n}" for n in range(8)]
    assert [prompt.dialogue_id for prompt in client.asked] == [f"d{n}" for n in range(7, -1, -1)]
    run.finish()
    for name in ("dialogues", "requests", "responses", "scores"):
        assert [line["dialogue_id"] for line in read_log(run, name)] == [f"d{n}" for n in range(8)]


def test_the_first_is_told_while_others_are_in_flight(start):
    release = threading.Event()

    def answer(prompt):
        if prompt.dialogue_id != "d0":
            release.wait(20)
        return Reply(text="x")

    run = start(BlockingTeller(answer), 3)
    taken = take(run)
    assert next(taken)[0].dialogue.dialogue_id == "d0"
    release.set()
    assert len(list(taken)) == 2
    run.finish()


class Crowd(Teller):
    """Counts who is inside together."""

    def __init__(self):
        super().__init__()
        self.inside = self.most = 0

    async def complete(self, prompt):
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(5):
            await asyncio.sleep(0)
        self.inside -= 1
        return await super().complete(prompt)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_never_more_calls_than_allowed_are_in_flight(start, concurrency):
    client = Crowd()
    run = start(client, 20, concurrency=concurrency)
    assert len(list_ids(run)) == 20
    run.finish()
    assert client.most == concurrency


def test_blocking_clients_overlap_too(start):
    barrier = threading.Barrier(4, timeout=20)

    def answer(prompt):
        barrier.wait()
        return Reply(text=prompt.dialogue_id)

    client = BlockingTeller(answer)
    run = start(client, 8, concurrency=4)
    assert len(list_ids(run)) == 8
    assert run.finish().counts["errors"] == 0
    assert len(client.threads) == 4
    assert threading.get_ident() not in client.threads


def test_a_plain_function_may_return_an_awaitable(start):
    class Odd:
        def complete(self, prompt):
            return Teller().complete(prompt)

    run = start(Odd())
    assert len(list_ids(run)) == 3
    assert run.finish().counts["errors"] == 0


def test_turns_follow_one_another(start):
    rows = [{"dialogue_id": "a", "turns": ["One?", "Two?"]}]
    client = Teller(lambda prompt: Reply(text=f"{len(prompt.messages)}"))
    run = start(client, rows, repeats=2)
    [[first, second]] = list(take(run))
    run.finish()
    assert (first.text, second.text) == ("1\n\n3", "1\n\n3")
    places = [(line["repeat"], line["turn"]) for line in read_log(run, "responses")]
    assert places == [(0, 0), (0, 1), (1, 0), (1, 1)]


# --- what stands on disk


def test_run_json_comes_first_and_summary_json_last(start, tmp_path):
    folder = tmp_path / "runs" / "demo_run"
    seen = []

    def answer(prompt):
        seen.append({path.name for path in folder.iterdir()})
        return Reply(text=prompt.dialogue_id)

    run = start(Teller(answer))
    list_ids(run)
    assert all("run.json" in names and "summary.json" not in names for names in seen)
    run.finish()
    assert (folder / "summary.json").exists()


def test_an_answer_is_on_disk_before_anyone_is_told(start):
    run = start(Teller(), 5)
    for number, _ in enumerate(take(run), start=1):
        assert len(read_log(run, "responses")) >= number
    run.finish()


def test_the_summary_says_who_answered(start):
    run = start(Teller())
    list_ids(run)
    run.finish()
    assert read_summary(run)["client"] == "Teller"
    assert json.loads((run.folder / "run.json").read_text("utf-8"))["client"] == "Teller"


def test_keys_may_be_added_to_the_summary(start):
    run = start(Teller())
    list_ids(run)
    run.finish(lambda values: values.update(judge="me"))
    assert read_summary(run)["judge"] == "me"


def test_output_fields_without_metadata(start):
    run = start(Teller(lambda _: Reply(text="x", metadata={"a": 1})), output_fields=["completion"])
    list_ids(run)
    run.finish()
    assert all("metadata" not in line for line in read_log(run, "responses"))
    assert all(line["completion"] == "x" for line in read_log(run, "responses"))


HOSTILE = "\ud800 \x1b[31m [bold] \u2028 " + "x" * 1_000_000


def test_a_hostile_and_huge_answer_is_a_whole_line(start):
    run = start(Teller(lambda _: Reply(text=HOSTILE)), 1)
    assert [ts[0].text for ts in take(run)] == [HOSTILE]
    run.finish()
    assert [line["completion"] for line in read_log(run, "responses")] == [HOSTILE]


# --- errors


def test_an_error_is_one_dialogues_own(start):
    def answer(prompt):
        if prompt.dialogue_id == "d1":
            raise ClientError("no such thing", kind="invalid_request_error", status=400)
        return Reply(text="It is fact0, fact2.")

    run = start(Teller(answer))
    outcomes = [transcripts[0].outcome for transcripts in take(run)]
    assert outcomes == ["ok", "error", "ok"]
    summary = run.finish()
    assert (summary.counts["calls"], summary.counts["errors"]) == (3, 1)
    assert summary.status == "complete"
    [line] = [line for line in read_log(run, "responses") if line["error"]]
    assert line["error"] == {"type": "invalid_request_error", "message": "no such thing"}
    assert line["completion"] is None
    assert line["attempts"][0]["status"] == 400


class NastyError(Exception):
    def __str__(self):
        raise RuntimeError("not even a text")


ODD_FAILURES = {
    "plain": ValueError("odd"),
    "empty": KeyError(),
    "base": asyncio.CancelledError(),
    "timeout": TimeoutError(),
    "stop": StopIteration(),
    "exit": SystemExit(3),
    "key": KeyboardInterrupt(),
    "outcome": pytest.fail.Exception("not in a client"),
    "nasty": NastyError(),
    "surrogate": ValueError("\ud800"),
}


@pytest.mark.parametrize("kind", ["async", "blocking"])
@pytest.mark.parametrize("failure", ODD_FAILURES.values(), ids=list(ODD_FAILURES))
def test_odd_exceptions_are_errors_of_their_dialogue(start, failure, kind):
    def answer(prompt):
        if prompt.dialogue_id == "d1":
            raise failure
        return Reply(text="x")

    client = (Teller if kind == "async" else BlockingTeller)(answer)
    run = start(client)
    outcomes = [transcripts[0].outcome for transcripts in take(run)]
    assert outcomes == ["ok", "error", "ok"]
    assert run.finish().counts["errors"] == 1


def test_a_client_whose_own_task_ends_the_thread_ends_the_run(start):
    async def leave():
        raise SystemExit(3)

    class Leaver(Teller):
        async def complete(self, prompt):
            if prompt.dialogue_id == "d2":
                self.task = asyncio.create_task(leave())
                await asyncio.Event().wait()
            return await super().complete(prompt)

    client = Leaver()
    run = start(client, 3, concurrency=1)
    assert [transcripts[0].outcome for transcripts in take(run)][:2] == ["ok", "ok"]
    with pytest.raises(RunFolderError, match="the run broke off"):
        run.finish()
    assert read_summary(run)["counts"]["calls"] == 2
    assert isinstance(client.task.exception(), SystemExit)


def test_a_metric_that_leaves_is_told_as_one_that_failed(start):
    def leave(transcript):
        raise SystemExit(transcript.dialogue.dialogue_id)

    run = start(Teller(), own_metrics={"odd": leave})
    assert len(list(take(run))) == 3
    assert run.finish().metric_errors == {"odd": "d0: SystemExit: d0"}


ODD_REPLIES = {
    "nothing": None,
    "text": "text",
    "class": Reply,
    "no text": Reply(text=None),  # type: ignore[arg-type]
    "bytes": Reply(text=b"x"),  # type: ignore[arg-type]
    "usage none": Reply(text="x", usage=None),  # type: ignore[arg-type]
    "usage list": Reply(text="x", usage=[1]),  # type: ignore[arg-type]
    "metadata none": Reply(text="x", metadata=None),  # type: ignore[arg-type]
    "stop number": Reply(text="x", stop_reason=7),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("odd", ODD_REPLIES.values(), ids=list(ODD_REPLIES))
def test_odd_replies_are_errors_of_their_dialogue(start, odd):
    run = start(Teller(lambda prompt: odd if prompt.dialogue_id == "d1" else Reply(text="x")))
    outcomes = [transcripts[0].outcome for transcripts in take(run)]
    assert outcomes == ["ok", "error", "ok"]
    assert run.finish().counts["errors"] == 1


ODD_PARTS = {
    "usage text": {"usage": {"input_tokens": "12", "output_tokens": [1]}},
    "usage negative": {"usage": {"input_tokens": -5}},
    "metadata object": {"metadata": {"raw": object(), 7: {1}}},
    "metadata surrogate": {"metadata": {"\ud800": "\ud800"}},
    "model number": {"model": 7},
    "model list": {"model": ["x"]},
    "request bytes": {"request_id": b"x"},
}


@pytest.mark.parametrize("parts", ODD_PARTS.values(), ids=list(ODD_PARTS))
def test_odd_parts_of_a_reply_lose_no_answer(start, parts):
    run = start(Teller(lambda _: Reply(text="kept", **parts)))
    assert [ts[0].text for ts in take(run)] == ["kept"] * 3
    assert run.finish().counts["errors"] == 0
    lines = read_log(run, "responses")
    assert [line["completion"] for line in lines] == ["kept"] * 3
    assert all(isinstance(line["model"], str) for line in lines)
    assert all(isinstance(line["request_id"], str | None) for line in lines)
    assert list(list_notes(read_summary(run)))


def test_a_failure_that_concerns_the_run_stops_it(start):
    def answer(prompt):
        del prompt
        raise ClientError("wrong key", kind="authentication_error", status=401, scope="run")

    client = Teller(answer)
    run = start(client, 50, concurrency=2)
    outcomes = [transcripts[0].outcome for transcripts in take(run)]
    assert len(outcomes) == 50
    assert set(outcomes) == {"error", "not_run"}
    assert len(client.asked) <= 2
    summary = run.finish()
    assert summary.status == "partial"
    assert summary.counts["errors"] + summary.counts["not_run"] == 50


def test_the_reason_of_a_stop_is_one_plain_line(start):
    def answer(prompt):
        del prompt
        raise ClientError("\x1b[2Jno\nkey" + "x" * 5000, kind="authentication_error", scope="run")

    run = start(Teller(answer), 50, concurrency=2)
    reason = list(take(run))[-1][0].not_run
    run.finish()
    assert reason.startswith(r"stopped: authentication_error: \x1b[2Jno keyxxx")
    assert reason.endswith(" more characters)")


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "SAFETY"])
def test_a_refusal_ends_its_dialogue(start, reason):
    rows = [{"dialogue_id": "a", "turns": ["One?", "Two?"]}]
    client = Teller(lambda _: Reply(text="", stop_reason=reason))
    run = start(client, rows)
    [[transcript]] = list(take(run))
    assert (transcript.outcome, len(client.asked)) == ("ok", 1)
    assert run.finish().metrics["refusal_rate"] == 1.0


# --- own metrics


def test_own_metrics_are_taken_from_transcripts(start):
    metrics = {
        "length": lambda transcript: float(len(transcript.text)),
        "share": lambda transcript: (1.0, 1.0 + transcript.dialogue.position),
        "none": lambda _: None,
    }
    run = start(Teller(lambda _: Reply(text="four")), own_metrics=metrics)
    list_ids(run)
    summary = run.finish()
    assert (summary.metrics["length"], summary.metrics["share"]) == (4.0, 0.5)
    assert summary.metrics["none"] is None
    assert [line["length"] for line in read_log(run, "scores")] == [4.0] * 3


def raise_odd(_):
    raise NastyError


ODD_METRICS = {
    "raises": lambda t: 1 / (t.dialogue.position - 1),
    "nasty": raise_odd,
    "text": lambda _: "high",
    "nan": lambda _: float("nan"),
    "infinite": lambda _: float("inf"),
    "three": lambda _: (1.0, 2.0, 3.0),
    "list": lambda _: [1.0],
    "number as text": lambda _: "5",
    "huge": lambda _: 1e308,
    "leaves": lambda _: sys.exit(1),
    "pair of none": lambda _: (None, 1.0),
}


@pytest.mark.parametrize("metric", ODD_METRICS.values(), ids=list(ODD_METRICS))
def test_a_metric_that_fails_is_told_and_ends_nothing(start, metric):
    run = start(Teller(), own_metrics={"odd": metric, "fine": lambda _: 1.0})
    assert len(list_ids(run)) == 3
    summary = run.finish()
    assert (summary.metrics["odd"], summary.metrics["fine"]) == (None, 1.0)
    assert list(summary.metric_errors) == ["odd"]
    assert read_summary(run)["metric_errors"]["odd"].startswith("d")


# --- stopping


def test_a_stopped_run_sends_nothing_more(start):
    gate = threading.Event()
    asked = []

    def answer(prompt):
        asked.append(prompt)
        gate.wait(20)
        return Reply(text="x")

    run = start(BlockingTeller(answer), 50, concurrency=2)
    run.stop("interrupted")
    gate.set()
    outcomes = [transcripts[0] for transcripts in take(run)]
    assert len(outcomes) == 50
    assert {t.not_run for t in outcomes if t.outcome == "not_run"} == {"interrupted"}
    summary = run.finish()
    assert len(asked) <= 2
    assert (summary.status, summary.counts["calls"]) == ("partial", len(asked))


def test_a_run_that_nobody_waits_for_still_ends_whole(start):
    run = start(Teller(), 20)
    run.stop("interrupted")
    run.finish()
    assert read_summary(run)["status"] in {"partial", "complete"}
    assert len(read_log(run, "responses")) == read_summary(run)["counts"]["calls"]


def test_a_client_is_closed_once_for_all_its_runs(tmp_path):
    thread, client = LoopThread(), Teller()
    for name in ("one", "two"):
        manifest = write_project(tmp_path, name=name)
        setting = Setting(
            client=client,
            why="test",
            base_url=None,
            output=tmp_path / "runs",
            loop=thread,
            own_metrics={},
        )
        run = start_run(check_manifest(manifest, tmp_path), setting)
        list_ids(run)
        run.finish()
    assert client.closed == 0
    thread.close()
    assert client.closed == 1


def test_a_plain_close_will_do():
    thread, client = LoopThread(), BlockingTeller()
    thread.admit(client, "claude-haiku-4-5", 1)
    thread.close()
    assert client.closed == 1


def test_a_client_that_cannot_be_closed_is_no_matter():
    def close():
        raise OSError

    thread, odd, plain = LoopThread(), BlockingTeller(), Teller()
    odd.close = close  # type: ignore[method-assign]
    for client in (odd, plain):
        thread.admit(client, "claude-haiku-4-5", 1)
    thread.close()
    assert plain.closed == 1


# --- folders that fail


def test_a_folder_that_cannot_be_made_sends_nothing(start, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    client = Teller()
    with pytest.raises(RunFolderError, match="can't be used as a run folder"):
        start(client, output=tmp_path / "file")
    assert client.asked == []


def test_a_full_disk_ends_the_run_and_names_what_was_lost(start):
    client = Teller(lambda _: Reply(text="x" * 10_000))
    with limit_files(55_000):
        run = start(client, 50, concurrency=1)
        held = [transcripts[0] for transcripts in take(run)]
        outcomes = [transcript.outcome for transcript in held]
        with pytest.raises(RunFolderError) as caught:
            run.finish()
    assert run.find_log(held[5]).endswith("responses.jsonl")
    assert outcomes == ["ok"] * 5 + ["error"] + ["not_run"] * 44
    assert "File too large; missing there: the answer of d5, turn 0, repeat 0" in str(caught.value)
    assert [line["dialogue_id"] for line in read_log(run, "responses")] == [
        f"d{n}" for n in range(5)
    ]
    assert len(client.asked) == 6
    assert read_summary(run)["status"] == "partial"


# --- Ctrl-C while it ends


def finish_with_ctrl_c(run, times):
    def press(summary):
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        summary["pressed"] = True

    list(run.take_transcripts())
    with pytest.raises(KeyboardInterrupt):
        run.finish(press)
    return read_summary(run)


def test_ctrl_c_at_the_very_end_waits_for_the_summary(start):
    run = start(Teller())
    summary = finish_with_ctrl_c(run, times=1)
    assert (summary["status"], summary["pressed"]) == ("complete", True)
    assert run.finish().status == "complete"


def test_ctrl_c_again_does_not_wait(start):
    assert "pressed" not in finish_with_ctrl_c(start(Teller()), times=2)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
