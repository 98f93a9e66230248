"""Many dialogues at once: a run from start to summary, on the session's one thread."""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.clients import name_client
from pytest_experiment_profiler.clients.threads import Threads, as_async
from pytest_experiment_profiler.dialogues import read_dialogues
from pytest_experiment_profiler.errors import ExperimentError, RunFolderError
from pytest_experiment_profiler.experiment import Failure, Prompt, Transcript, Turn
from pytest_experiment_profiler.metrics import read_answers
from pytest_experiment_profiler.metrics.scores import checked_value, score_record
from pytest_experiment_profiler.pacing import Outcome, Pacing
from pytest_experiment_profiler.provenance import describe_run
from pytest_experiment_profiler.runlog import RunLog, encode, open_folder, write_whole
from pytest_experiment_profiler.runner import hold_dialogue
from pytest_experiment_profiler.summary import Summary, Tally, summarize, summary_record

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Client, Dialogue, Experiment, Metric, Value
    from pytest_experiment_profiler.manifest import Checked
    from pytest_experiment_profiler.records import Record

GRACE_S = 5.0
"""Seconds that calls in flight get when a run is stopped."""


class LoopThread:
    """One thread with an event loop, for all runs of a session and their clients."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="experiments", daemon=True)
        self._clients: dict[int, Client] = {}
        self._closed = threading.Event()
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Start a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call a function on the loop."""
        self._loop.call_soon_threadsafe(function)

    def own(self, client: Client) -> None:
        """Close a client when the thread ends, for a client belongs to one loop."""
        self._clients[id(client)] = client

    def close(self) -> None:
        """Cancel what still runs, close the clients, end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._closed.wait(GRACE_S)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._wind_up())
        finally:
            self._loop.close()
            self._closed.set()

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        closing = [_close(client) for client in self._clients.values()]
        await asyncio.gather(*closing, return_exceptions=True)


async def _close(client: Client) -> None:
    close = getattr(client, "aclose", None) or getattr(client, "close", None)
    if close is not None:
        result = close()
        if inspect.isawaitable(result):
            await result


class Run:
    """One run of an experiment: started once, its transcripts taken in dataset order."""

    def __init__(  # noqa: PLR0913 -- what a run is made of
        self,
        experiment: Experiment,
        *,
        record: Record,
        client: Client,
        dialogues: Iterable[Dialogue],
        folder: Path,
        loop: LoopThread,
        own_metrics: Mapping[str, Metric],
    ) -> None:
        self.experiment = experiment
        self.folder = folder
        self.record = record
        self.stopped: str | None = None
        self.summary: Summary | None = None
        self._client = client
        self._loop = loop
        self._own_metrics = own_metrics
        self._tally = Tally(priced=record["client"] != "mock")
        self._pacing = Pacing(sleep=asyncio.sleep)
        self._threads = Threads(experiment.concurrency)
        self._complete = as_async(client, self._threads)
        self._tasks = self._list_tasks(dialogues)
        self._held: dict[int, list[Transcript]] = {}
        self._done: dict[int, list[Transcript]] = {}
        self._wanted = 0
        self._ready = threading.Condition()
        self._problems: list[str] = []
        self._workers: list[asyncio.Task[None]] = []
        self._log: RunLog
        self._work: Future[None]

    def start(self) -> None:
        """Write run.json and send the first prompts; raise RunFolderError where it can't be."""
        write_whole(self.folder / "run.json", encode(self.record))
        self._log = RunLog(self.folder, with_metadata="metadata" in self.experiment.output_fields)
        self._loop.own(self._client)
        self._work = self._loop.submit(self._hold_all())
        self._work.add_done_callback(lambda _: self._wake())

    def take_transcripts(self) -> Iterator[list[Transcript]]:
        """Yield each dialogue's transcripts (one a repeat) in dataset order, waiting for them."""
        while (transcripts := self._await(self._wanted)) is not None:
            yield transcripts
            self._wanted += 1

    def stop(self, reason: str) -> None:
        """Send nothing more; what is in flight gets a few seconds once the run is finished."""
        if self.stopped is None:
            self.stopped = reason

    def finish(self, add: Callable[[Record], None] | None = None) -> Summary:
        """Wait for the calls in flight, put the logs in order, write `summary.json` last.

        `add` may put further keys into the summary. Raise ExperimentError where something could
        not be read or written, after all the rest is on disk.
        """
        self._wait_for_work()
        self._threads.close()
        summary = self.summary = summarize(self.record, self._tally)
        for step in (self._log.seal, lambda: self._write_summary(summary, add)):
            try:
                step()
            except RunFolderError as error:
                self._problems.append(str(error))
        if self._problems:
            raise RunFolderError("; ".join(self._problems))
        return summary

    def _write_summary(self, summary: Summary, add: Callable[[Record], None] | None) -> None:
        values = summary_record(summary)
        if add is not None:
            add(values)
        write_whole(self.folder / "summary.json", encode(values))

    def _wait_for_work(self) -> None:
        wait_s = None if self.stopped is None else GRACE_S
        try:
            self._work.result(wait_s)
        except ExperimentError as error:
            self._problems.append(str(error))
        except TimeoutError:
            self._loop.call_soon(self._cut)
            wait([self._work], GRACE_S)

    def _cut(self) -> None:
        for worker in self._workers:
            worker.cancel()

    def _await(self, number: int) -> list[Transcript] | None:
        with self._ready:
            while number not in self._done and not self._work.done():
                self._ready.wait(1.0)
            return self._done.pop(number, None)

    def _wake(self) -> None:
        with self._ready:
            self._ready.notify_all()

    def _list_tasks(self, dialogues: Iterable[Dialogue]) -> Iterator[tuple[int, Dialogue, int]]:
        """Yield (number, dialogue, repeat), each dialogue logged before it is held."""
        for number, dialogue in enumerate(dialogues):
            self._save(partial(self._log.append_dialogue, dialogue), dialogue.dialogue_id)
            for repeat in range(self.experiment.repeats):
                yield number, dialogue, repeat

    async def _hold_all(self) -> None:
        count = self.experiment.concurrency
        self._workers = [asyncio.create_task(self._hold_some()) for _ in range(count)]
        try:
            await asyncio.gather(*self._workers)
        except BaseException as error:
            self.stop(f"stopped: {error}")
            await asyncio.gather(*self._workers, return_exceptions=True)
            raise

    async def _hold_some(self) -> None:
        for number, dialogue, repeat in self._tasks:
            transcript = await hold_dialogue(
                self.experiment, dialogue, repeat, partial(self._ask, dialogue.position)
            )
            held = self._held.setdefault(number, [])
            held.append(transcript)
            if len(held) == self.experiment.repeats:
                self._deliver(number, self._held.pop(number))

    async def _ask(self, position: int, prompt: Prompt) -> Turn | str:
        if self.stopped is not None:
            return self.stopped
        place = f"{prompt.dialogue_id}, turn {prompt.turn}, repeat {prompt.repeat}"
        if not self._save(partial(self._log.append_request, position, prompt), place):
            return str(self.stopped)
        try:
            outcome = await self._pacing.call(
                lambda: self._complete(prompt), self.experiment.timeout_s, self._may_go_on
            )
        except asyncio.CancelledError:
            if self._may_go_on():
                raise
            return str(self.stopped)
        turn = _turn(prompt, outcome)
        if outcome.scope == "run" and outcome.error:
            self.stop(f"stopped: {outcome.error.type}: {outcome.error.message}")
        if not self._save(
            partial(self._log.append_response, position, turn), f"the answer of {place}"
        ):
            lost = Failure(
                type="log_error", message=f"the answer is not in the logs: {self.stopped}"
            )
            return replace(turn, error=lost)
        return turn

    def _may_go_on(self) -> bool:
        return self.stopped is None

    def _save(self, write: Callable[[], None], what: str) -> bool:
        """Write a line; where there is no room, stop the run and remember what is missing."""
        try:
            write()
        except OSError as error:
            reason = f"{self.folder} can't be written: {error.strerror or error}"
            self._problems.append(f"{reason}; missing there: {what}")
            self.stop(f"stopped: {reason}")
            return False
        return True

    def _deliver(self, number: int, held: list[Transcript]) -> None:
        transcripts = [read_answers(t, self.experiment) for t in sorted(held, key=_repeat)]
        own = [self._measure(transcript) for transcript in transcripts]
        self._tally.add(transcripts, own)
        for transcript, values in zip(transcripts, own, strict=True):
            score = score_record(transcript, values)
            position, name = transcript.dialogue.position, transcript.dialogue.dialogue_id
            self._save(partial(self._log.append_score, position, score), f"scores of {name}")
        with self._ready:
            self._done[number] = transcripts
            if number == self._wanted:
                self._ready.notify_all()

    def _measure(self, transcript: Transcript) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, metric in self._own_metrics.items():
            try:
                values[name] = checked_value(metric(transcript))
            except Exception as error:  # noqa: BLE001 -- a metric of the user's; recorded
                self._tally.metric_errors.setdefault(
                    name, f"{transcript.dialogue.dialogue_id}: {type(error).__name__}: {error}"
                )
                values[name] = None
        return values


def _repeat(transcript: Transcript) -> int:
    return transcript.repeat


def _turn(prompt: Prompt, outcome: Outcome) -> Turn:
    return Turn(
        prompt=prompt,
        reply=outcome.reply,
        error=outcome.error,
        attempts=outcome.attempts,
        sent_at=outcome.sent_at,
        latency_s=outcome.latency_s,
    )


def start_run(  # noqa: PLR0913 -- what a run is made of
    checked: Checked,
    client: Client,
    *,
    base_url: str | None,
    output: Path,
    loop: LoopThread,
    own_metrics: Mapping[str, Metric] | None = None,
) -> Run:
    """Open `output`/<experiment_id>/ and start the calls; raise ExperimentError if that fails."""
    experiment = checked.experiment
    record = describe_run(
        experiment,
        client=name_client(client),
        base_url=base_url,
        dialogues=len(checked.lines),
        selected=None,
    )
    run = Run(
        experiment,
        record=record,
        client=client,
        dialogues=read_dialogues(experiment.dataset_path),
        folder=open_folder(output / experiment.experiment_id),
        loop=loop,
        own_metrics=own_metrics or {},
    )
    run.start()
    return run
