"""Many dialogues at once: a run from its first prompt to its summary."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import CancelledError, wait
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pytest_experiment_profiler.caller import Caller, Progress
from pytest_experiment_profiler.clients import list_secrets
from pytest_experiment_profiler.clients.threads import Threads, as_async
from pytest_experiment_profiler.delivery import Delivery
from pytest_experiment_profiler.errors import ExperimentError, RunFolderError, say_error
from pytest_experiment_profiler.gates import judge_dialogue
from pytest_experiment_profiler.handover import Handover
from pytest_experiment_profiler.interrupts import hold_back
from pytest_experiment_profiler.metrics import open_readers, read_all
from pytest_experiment_profiler.pacing import Pacing
from pytest_experiment_profiler.pricing import FREE_CLIENTS
from pytest_experiment_profiler.reports.progress import Standing
from pytest_experiment_profiler.runfolder import read_transcripts
from pytest_experiment_profiler.runlog import RunLog, encode, redact, write_whole
from pytest_experiment_profiler.runner import hold_dialogue
from pytest_experiment_profiler.summary import (
    Summary,
    summarize,
    summary_record,
)
from pytest_experiment_profiler.tally import Tally, measure_dialogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_experiment_profiler.budget import Ledger
    from pytest_experiment_profiler.experiment import (
        Client,
        Dialogue,
        Experiment,
        Metric,
        Transcript,
    )
    from pytest_experiment_profiler.gates import GateResult
    from pytest_experiment_profiler.loop import LoopThread
    from pytest_experiment_profiler.recall import Recall
    from pytest_experiment_profiler.records import Record

GRACE_S = 5.0
"""Seconds that calls in flight get when a run is stopped."""

IDLE_S = 0.1
"""Seconds between two looks at how a run stands, while dialogues are taken."""


AHEAD = 32
"""Dialogues that are read and logged together, before the first of them is held."""


class Run:
    """One run of an experiment: started once, its transcripts taken in dataset order."""

    def __init__(  # noqa: PLR0913 -- what a run is made of
        self,
        experiment: Experiment,
        record: Record,
        client: Client,
        folder: Path,
        *,
        loop: LoopThread,
        ledgers: Sequence[Ledger],
        recall: Recall | None,
        own_metrics: Mapping[str, Metric],
        judge: Callable[[Summary], Summary],
    ) -> None:
        self.experiment = experiment
        self.folder = folder
        self.record = record
        self.progress = Progress(halt=self._halt)
        self.summary: Summary | None = None
        self.ledgers = ledgers
        self.broken_gates = 0
        self.unlock: Callable[[], None] = lambda: None
        self._client = client
        self._loop = loop
        self._recall = recall
        self._own_metrics = own_metrics
        self._judge_summary = judge
        self._tally = Tally(priced=record["client"] != "mock")
        self._threads = Threads(experiment.concurrency)
        self._held: dict[int, list[Transcript]] = {}
        self._handover = Handover()
        self._numbers: Mapping[str, int] = {}
        self._taken: set[int] = set()
        self._told: str | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._secrets = list_secrets(os.environ)
        self._started = time.monotonic()
        self._idled_at = 0.0

    def start(self, dialogues: Iterable[Dialogue], ids: Sequence[str]) -> None:
        """Write run.json and send the first prompts; `ids` are the dialogues', in order.

        Raise RunFolderError where the folder can't be written.
        """
        self._numbers = {dialogue_id: number for number, dialogue_id in enumerate(ids)}
        experiment = self.experiment
        self._write(self.folder / "run.json", self.record)
        self._log = RunLog(
            self.folder,
            with_metadata="metadata" in experiment.output_fields,
            secrets=self._secrets,
        )
        admission = self._loop.admit(self._client, experiment.model, experiment.concurrency)
        self.admission = admission
        record_is_priced = self.record["client"] not in FREE_CLIENTS
        self._delivery = Delivery(
            experiment,
            self._own_metrics,
            log=self._log,
            tally=self._tally,
            progress=self.progress,
            handover=self._handover,
        )
        self._caller = Caller(
            client=self.record["client"],
            complete=as_async(self._client, self._threads),
            log=self._log,
            recall=self._recall,
            pacing=Pacing(sleep=self._sleep),
            admission=admission,
            ledgers=self.ledgers,
            timeout_s=experiment.timeout_s,
            priced=record_is_priced and any(ledger.usd is not None for ledger in self.ledgers),
            progress=self.progress,
        )
        if admission.closed:
            self.progress.stop(admission.closed)
        self._work = self._loop.submit(self._hold_all(self._list_tasks(dialogues)))
        self._work.add_done_callback(lambda _: self._handover.end())

    def take_transcripts(
        self, idle: Callable[[], object] = lambda: None
    ) -> Iterator[list[Transcript]]:
        """Yield each dialogue's transcripts (one a repeat) in dataset order, waiting for them.

        `idle` is called now and then, not for each dialogue.
        """
        if self.summary is not None:
            yield from self._read_back()
            return
        number = 0
        while (transcripts := self._handover.wait_for(number, idle)) is not None:
            self._handover.drop(number)
            yield transcripts
            number += 1
            self._idle(idle)

    def _idle(self, idle: Callable[[], object]) -> None:
        now = time.monotonic()
        if now - self._idled_at >= IDLE_S:
            self._idled_at = now
            idle()

    def _read_back(self) -> Iterator[list[Transcript]]:
        """Yield what the logs of a finished run hold, for a test that is tried again."""
        readers = open_readers(self.experiment)
        for transcripts in read_transcripts(self.folder, repeats=self.experiment.repeats):
            yield read_all(transcripts, readers)

    def take(self, dialogue_id: str, idle: Callable[[], object] = lambda: None) -> list[Transcript]:
        """Wait for one dialogue's transcripts, which stay there to be taken again.

        Raise RunFolderError where the run broke off before.
        """
        self._idle(idle)
        number = self._numbers[dialogue_id]
        transcripts = self._handover.wait_for(number, idle)
        if transcripts is None:
            raise RunFolderError("the run broke off before this dialogue")
        self._taken.add(number)
        return transcripts

    def find_log(self, transcript: Transcript) -> str:
        """Name responses.jsonl, with the line in which a transcript's last call is going to stand.

        Without, where an earlier dialogue is not done yet or answers could not be written.
        """
        path = self.folder / "responses.jsonl"
        if self.progress.lost_answers:
            return str(path)
        number = self._numbers[transcript.dialogue.dialogue_id]
        line = self._handover.find_line(number, transcript.repeat)
        return f"{path}:{line}" if line else str(path)

    @property
    def is_taken(self) -> bool:
        """Tell whether every dialogue was taken by its id."""
        return len(self._taken) == len(self._numbers)

    def tell_not_run(self, dialogue_id: str) -> bool:
        """Tell the first dialogue that asks, each time it does, that some were not run."""
        if self._told is None:
            self._told = dialogue_id
        return self._told == dialogue_id

    def standing(self) -> Standing:
        """Tell how far the run is."""
        total, ended = self.record["selection"]["selected"], self.progress.ended
        elapsed_s, held = time.monotonic() - self._started, ended - self.progress.taken_over
        money = [ledger for ledger in self.ledgers if ledger.usd is not None]
        return Standing(
            total=total,
            ended=ended,
            errors=self.progress.errors,
            in_flight=self.admission.in_flight,
            refusals_429=self.admission.refusals,
            spent_usd=money[0].spent.usd if money else None,
            budget_usd=money[0].usd if money else None,
            eta_s=elapsed_s / held * (total - ended) if held else None,
        )

    def stop(self, reason: str) -> None:
        """Send nothing more; what is in flight gets a few seconds once the run is finished."""
        self.progress.stop(reason)

    def finish(self, add: Callable[[Record], None] | None = None) -> Summary:
        """Wait for the calls in flight, put the logs in order, write `summary.json` last.

        `add` may put further keys into the summary. Raise RunFolderError where something could
        not be read or written, after all the rest is on disk.
        """
        if self.summary is not None:
            return self.summary
        try:
            self._wait_for_work()
            with hold_back() as interrupts:
                summary = self._conclude(add)
        finally:
            self._loop.end_run(self._work)
            self.unlock()
        if interrupts and self.progress.may_go_on():
            raise KeyboardInterrupt
        problems = self.progress.list_problems()
        if problems:
            raise RunFolderError("; ".join(problems))
        return summary

    def _conclude(self, add: Callable[[Record], None] | None) -> Summary:
        self._threads.close()
        if self._recall is not None:
            self._recall.close()
        self._save_whole(self._log.seal)
        summary = summarize(self.record, self._tally, reused=self.progress.reused)
        self.summary = summary
        self._save_whole(partial(self._judge, summary))
        self._save_whole(partial(self._write_summary, add))
        return self.summary

    def judge(self, transcripts: Sequence[Transcript]) -> list[GateResult]:
        """Hold one dialogue's transcripts against the manifest's gates for single dialogues."""
        if "dialogue" not in self.experiment.gates or all(t.not_run for t in transcripts):
            return []
        values = measure_dialogue(transcripts, self._delivery.measure(transcripts))
        results = judge_dialogue(self.experiment.gates, values)
        return [result for result in results if not result.holds]

    def _judge(self, summary: Summary) -> None:
        self.summary = self._judge_summary(summary)

    def _save_whole(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ExperimentError as error:
            self.progress.problems.append(str(error))

    def _write_summary(self, add: Callable[[Record], None] | None) -> None:
        assert self.summary is not None  # noqa: S101 -- finish made it
        values = summary_record(self.summary)
        path = self.folder / "summary.json"
        self._write(path, values)
        if add is not None:
            copy = json.loads(encode(values))
            add(copy)
            added = {key: value for key, value in copy.items() if key not in values}
            if added:
                self._write(path, values | added)

    def _write(self, path: Path, values: Record) -> None:
        write_whole(path, redact(encode(values), self._secrets))

    def _wait_for_work(self) -> None:
        try:
            done, _ = wait([self._work], None if self.progress.may_go_on() else GRACE_S)
        except KeyboardInterrupt:
            if self.progress.may_go_on():
                raise
            done = set()  # Ctrl-C again: those in flight get no more time
        if not done:
            done, _ = wait([self._work], GRACE_S if self._loop.call(self._cut) else 0)
        for work in done:
            try:
                work.result()
            except ExperimentError as error:
                self.progress.problems.append(str(error))
            except (Exception, CancelledError) as error:  # noqa: BLE001 -- told by finish
                name = type(error).__name__
                self.progress.problems.append(f"the run broke off: {name}: {say_error(error)}")

    def _halt(self) -> None:
        self._loop.call_soon(self._stop_waiting)

    def _stop_waiting(self) -> None:
        self._stopping.set()
        self.admission.wake_all()
        for ledger in self.ledgers:
            ledger.wake()

    def _cut(self) -> None:
        for worker in self._workers:
            worker.cancel()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _list_tasks(self, dialogues: Iterable[Dialogue]) -> Iterator[tuple[int, Dialogue, int]]:
        """Yield (number, dialogue, repeat), each dialogue logged before it is held."""
        numbered = enumerate(dialogues)
        while ahead := dict(islice(numbered, AHEAD)):
            write = partial(self._log.append_dialogues, list(ahead.values()))
            self.progress.save(write, lines=len(ahead))
            for number, dialogue in ahead.items():
                for repeat in range(self.experiment.repeats):
                    yield number, dialogue, repeat

    async def _hold_all(self, tasks: Iterator[tuple[int, Dialogue, int]]) -> None:
        count = self.experiment.concurrency
        self._workers = [asyncio.create_task(self._hold_some(tasks)) for _ in range(count)]
        try:
            await asyncio.gather(*self._workers)
        except BaseException as error:
            self.stop(f"stopped: {say_error(error)}")
            await asyncio.gather(*self._workers, return_exceptions=True)
            raise
        finally:
            self._delivery.finish()

    async def _hold_some(self, tasks: Iterator[tuple[int, Dialogue, int]]) -> None:
        for number, dialogue, repeat in tasks:
            transcript = await self._hold(dialogue, repeat)
            held = self._held.setdefault(number, [])
            held.append(transcript)
            if len(held) == self.experiment.repeats:
                del self._held[number]
                self._delivery.add(number, sorted(held, key=_repeat))
            # A client that never waits would keep the others from their turn.
            await asyncio.sleep(0)

    async def _hold(self, dialogue: Dialogue, repeat: int) -> Transcript:
        ask = partial(self._caller.ask, dialogue.position)
        return await hold_dialogue(self.experiment, dialogue, repeat, ask)


def _repeat(transcript: Transcript) -> int:
    return transcript.repeat
