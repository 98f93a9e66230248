"""Many dialogues at once: a run from start to summary."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.budget import Charge, Ledger
from pytest_experiment_profiler.caller import Caller, Progress, actual_cost, worst_case
from pytest_experiment_profiler.clients import name_client
from pytest_experiment_profiler.clients.threads import Threads, as_async
from pytest_experiment_profiler.comparison import (
    compare,
    comparison_record,
    read_scores,
)
from pytest_experiment_profiler.dialogues import read_dialogues
from pytest_experiment_profiler.errors import ExperimentError, RunFolderError, UsageError
from pytest_experiment_profiler.gates import gate_record, judge_dialogue, judge_run
from pytest_experiment_profiler.metrics import read_answers
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.metrics.scores import checked_value, score_record
from pytest_experiment_profiler.pacing import Pacing
from pytest_experiment_profiler.pricing import FREE_CLIENTS, price_usd
from pytest_experiment_profiler.provenance import describe_run
from pytest_experiment_profiler.recall import Recall
from pytest_experiment_profiler.reports.progress import Standing
from pytest_experiment_profiler.runlog import (
    RunLog,
    encode,
    lock,
    open_folder,
    read_run,
    write_whole,
)
from pytest_experiment_profiler.runner import hold_dialogue
from pytest_experiment_profiler.statistics import Absent, ratio
from pytest_experiment_profiler.summary import (
    Summary,
    Tally,
    join_metrics,
    summarize,
    summary_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_experiment_profiler.comparison import RunScores
    from pytest_experiment_profiler.experiment import (
        Client,
        Dialogue,
        Experiment,
        Metric,
        Transcript,
        Value,
    )
    from pytest_experiment_profiler.gates import GateResult
    from pytest_experiment_profiler.loop import LoopThread
    from pytest_experiment_profiler.manifest import Checked
    from pytest_experiment_profiler.records import Record

TICK_S = 0.2
"""Seconds between two looks at a run that has nothing to take."""

GRACE_S = 5.0
"""Seconds that calls in flight get when a run is stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a run is started with, besides its manifest."""

    client: Client
    base_url: str | None
    output: Path
    loop: LoopThread
    own_metrics: Mapping[str, Metric]
    resume: bool = False
    budget: Ledger | None = None
    baseline: RunScores | None = None
    intersection: bool = False


def open_budget(usd: float | None) -> Ledger | None:
    """Make the budget of a whole session; None is none."""
    return None if usd is None else Ledger(usd=Decimal(str(usd)))


def start_run(checked: Checked, setting: Setting) -> Run:
    """Open `output`/<experiment_id>/ and start the calls; raise ExperimentError if that fails."""
    experiment = checked.experiment
    client = name_client(setting.client)
    record = describe_run(
        experiment,
        client=client,
        base_url=setting.base_url,
        dialogues=len(checked.lines),
        selected=None,
    )
    record["provenance"]["definitions_version"] = name_definitions()
    folder = setting.output / experiment.experiment_id
    with ExitStack() as stack:
        stack.enter_context(lock(folder))
        recall = _remember(folder, client) if setting.resume else None
        if recall is None:
            open_folder(folder)
        else:
            (folder / "summary.json").unlink(missing_ok=True)
        ledgers = _ledgers(experiment, setting.budget, recall, priced=client not in FREE_CLIENTS)
        run = Run(experiment, record, setting, folder, ledgers, recall)
        run.start(read_dialogues(experiment.dataset_path))
        run.unlock = stack.pop_all().close
    return run


def judge_summary(
    summary: Summary,
    folder: Path,
    gates: Mapping[str, Any],
    baseline: RunScores | None,
    *,
    intersection: bool = False,
) -> Summary:
    """Compare a run with its baseline, and hold it against gates; raise UsageError if it can't."""
    comparison = None
    if baseline is not None:
        comparison = compare(baseline, read_scores(folder), gates=gates, intersection=intersection)
    results = judge_run(
        gates,
        metrics=summary.metrics,
        intervals={
            name: found if isinstance(found, Absent) else found.interval
            for name, found in summary.intervals.items()
        },
        contrasts=comparison.metrics if comparison else None,
        cost_usd=0.0 if summary.client in FREE_CLIENTS else summary.cost["usd"],
    )
    return replace(
        summary,
        gates=[gate_record(result) for result in results],
        comparison=comparison_record(comparison) if comparison else None,
    )


def _remember(folder: Path, client: str) -> Recall | None:
    """Read what an earlier part of a run left; None where there is none."""
    try:
        before = read_run(folder).get("client")
    except RunFolderError:
        if not (folder / "responses.jsonl").exists():
            return None
        raise
    if before != client:
        raise UsageError(
            f"the run in {folder} was answered by {before}, not {client}: resume it with the same "
            "client, or start anew without resuming"
        )
    return Recall(folder)


def _ledgers(
    experiment: Experiment, session: Ledger | None, recall: Recall | None, *, priced: bool
) -> list[Ledger]:
    """List the budgets that a run's calls must fit, with what earlier parts spent."""
    limits = experiment.budget
    ledgers = [session] if session else []
    if limits.usd is not None or limits.tokens is not None:
        usd = None if limits.usd is None else Decimal(str(limits.usd))
        ledgers.append(Ledger(usd=usd, tokens=limits.tokens))
    in_money = priced and any(ledger.usd is not None for ledger in ledgers)
    if in_money and price_usd(experiment.model, {"input_tokens": 1, "output_tokens": 1}) is None:
        raise UsageError(
            f"a budget in USD needs a price, and that of {experiment.model} is not known: "
            "give the budget in tokens"
        )
    if recall is not None and ledgers:
        for charge in _charges(recall, priced=in_money):
            for ledger in ledgers:
                ledger.spend(charge)
    return ledgers


def _charges(recall: Recall, *, priced: bool) -> Iterator[Charge]:
    for turn in recall.turns():
        if turn.reply is not None:
            yield actual_cost(turn.reply, turn.prompt, priced=priced)
        for attempt in turn.attempts:
            if attempt.lost:
                yield worst_case(turn.prompt, priced=priced)
    for prompt in recall.lost():
        yield worst_case(prompt, priced=priced)


class Run:
    """One run of an experiment: started once, its transcripts taken in dataset order."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a run is made of
        self,
        experiment: Experiment,
        record: Record,
        setting: Setting,
        folder: Path,
        ledgers: Sequence[Ledger],
        recall: Recall | None,
    ) -> None:
        self.experiment = experiment
        self.folder = folder
        self.record = record
        self.progress = Progress(halt=self._halt)
        self.summary: Summary | None = None
        self.ledgers = ledgers
        self.broken_gates = 0
        self.unlock: Callable[[], None] = lambda: None
        self._setting = setting
        self._recall = recall
        self._tally = Tally(priced=record["client"] != "mock")
        self._threads = Threads(experiment.concurrency)
        self._held: dict[int, list[Transcript]] = {}
        self._done: dict[int, list[Transcript]] = {}
        self._wanted = 0
        self._ready = threading.Condition()
        self._workers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._started = time.monotonic()

    def start(self, dialogues: Iterable[Dialogue]) -> None:
        """Write run.json and send the first prompts; raise RunFolderError where it can't be."""
        experiment, setting = self.experiment, self._setting
        write_whole(self.folder / "run.json", encode(self.record))
        self._log = RunLog(self.folder, with_metadata="metadata" in experiment.output_fields)
        admission = setting.loop.admit(setting.client, experiment.model, experiment.concurrency)
        self.admission = admission
        record_is_priced = self.record["client"] not in FREE_CLIENTS
        self._caller = Caller(
            client=self.record["client"],
            complete=as_async(setting.client, self._threads),
            log=self._log,
            recall=self._recall,
            pacing=Pacing(sleep=self._sleep),
            admission=admission,
            ledgers=self.ledgers,
            timeout_s=experiment.timeout_s,
            priced=record_is_priced and any(ledger.usd is not None for ledger in self.ledgers),
            progress=self.progress,
        )
        self._work = setting.loop.submit(self._hold_all(self._list_tasks(dialogues)))
        self._work.add_done_callback(lambda _: self._wake())

    def take_transcripts(
        self, idle: Callable[[], object] = lambda: None
    ) -> Iterator[list[Transcript]]:
        """Yield each dialogue's transcripts (one a repeat) in dataset order, waiting for them.

        `idle` is called now and then while there is nothing to take.
        """
        while (transcripts := self._await(self._wanted, idle)) is not None:
            yield transcripts
            self._wanted += 1

    def standing(self) -> Standing:
        """Tell how far the run is."""
        total, ended = self.record["selection"]["selected"], self.progress.ended
        elapsed_s = time.monotonic() - self._started
        money = [ledger for ledger in self.ledgers if ledger.usd is not None]
        return Standing(
            total=total,
            ended=ended,
            errors=self.progress.errors,
            in_flight=self.admission.in_flight,
            refusals_429=self.admission.refusals,
            spent_usd=money[0].spent.usd if money else None,
            budget_usd=money[0].usd if money else None,
            eta_s=elapsed_s / ended * (total - ended) if ended else None,
        )

    def stop(self, reason: str) -> None:
        """Send nothing more; what is in flight gets a few seconds once the run is finished."""
        self.progress.stop(reason)

    def finish(self, add: Callable[[Record], None] | None = None) -> Summary:
        """Wait for the calls in flight, put the logs in order, write `summary.json` last.

        `add` may put further keys into the summary. Raise RunFolderError where something could
        not be read or written, after all the rest is on disk.
        """
        problems = self.progress.problems
        try:
            self._wait_for_work()
            self._threads.close()
            self._save_whole(self._log.seal)
            summary = summarize(self.record, self._tally, reused=self.progress.reused)
            self.summary = summary
            self._save_whole(partial(self._judge, summary))
            self._save_whole(partial(self._write_summary, add))
        finally:
            self.unlock()
        if problems:
            raise RunFolderError("; ".join(problems))
        return self.summary

    def judge(self, transcripts: Sequence[Transcript]) -> list[GateResult]:
        """Hold one dialogue's transcripts against the manifest's gates for single dialogues."""
        if "dialogue" not in self.experiment.gates:
            return []
        units = join_metrics(transcripts, [self._measure(t) for t in transcripts])
        values = {name: ratio([unit]) for name, unit in units.items()}
        results = judge_dialogue(self.experiment.gates, values)
        return [result for result in results if not result.holds]

    def _judge(self, summary: Summary) -> None:
        self.summary = judge_summary(
            summary,
            self.folder,
            self.experiment.gates,
            self._setting.baseline,
            intersection=self._setting.intersection,
        )

    def _save_whole(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ExperimentError as error:
            self.progress.problems.append(str(error))

    def _write_summary(self, add: Callable[[Record], None] | None) -> None:
        assert self.summary is not None  # noqa: S101 -- finish made it
        values = summary_record(self.summary)
        if add is not None:
            add(values)
        write_whole(self.folder / "summary.json", encode(values))

    def _wait_for_work(self) -> None:
        try:
            self._work.result(None if self.progress.may_go_on() else GRACE_S)
        except ExperimentError as error:
            self.progress.problems.append(str(error))
        except TimeoutError:
            self._setting.loop.call_soon(self._cut)
            wait([self._work], GRACE_S)

    def _halt(self) -> None:
        self._setting.loop.call_soon(self._stop_waiting)

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

    def _await(self, number: int, idle: Callable[[], object]) -> list[Transcript] | None:
        while True:
            with self._ready:
                if number not in self._done and not self._work.done():
                    self._ready.wait(TICK_S)
                if number in self._done or self._work.done():
                    return self._done.pop(number, None)
            idle()

    def _wake(self) -> None:
        with self._ready:
            self._ready.notify_all()

    def _list_tasks(self, dialogues: Iterable[Dialogue]) -> Iterator[tuple[int, Dialogue, int]]:
        """Yield (number, dialogue, repeat), each dialogue logged before it is held."""
        for number, dialogue in enumerate(dialogues):
            write = partial(self._log.append_dialogue, dialogue)
            self.progress.save(write, f"dialogue {dialogue.dialogue_id}")
            for repeat in range(self.experiment.repeats):
                yield number, dialogue, repeat

    async def _hold_all(self, tasks: Iterator[tuple[int, Dialogue, int]]) -> None:
        count = self.experiment.concurrency
        self._workers = [asyncio.create_task(self._hold_some(tasks)) for _ in range(count)]
        try:
            await asyncio.gather(*self._workers)
        except BaseException as error:
            self.stop(f"stopped: {error}")
            await asyncio.gather(*self._workers, return_exceptions=True)
            raise

    async def _hold_some(self, tasks: Iterator[tuple[int, Dialogue, int]]) -> None:
        for number, dialogue, repeat in tasks:
            transcript = await self._hold(dialogue, repeat)
            held = self._held.setdefault(number, [])
            held.append(transcript)
            if len(held) == self.experiment.repeats:
                self._deliver(number, self._held.pop(number))

    async def _hold(self, dialogue: Dialogue, repeat: int) -> Transcript:
        ask = partial(self._caller.ask, dialogue.position)
        return await hold_dialogue(self.experiment, dialogue, repeat, ask)

    def _deliver(self, number: int, held: list[Transcript]) -> None:
        transcripts = [read_answers(t, self.experiment) for t in sorted(held, key=_repeat)]
        own = [self._measure(transcript) for transcript in transcripts]
        self._tally.add(transcripts, own)
        for transcript, values in zip(transcripts, own, strict=True):
            dialogue = transcript.dialogue
            write = partial(
                self._log.append_score, dialogue.position, score_record(transcript, values)
            )
            self.progress.save(write, f"scores of {dialogue.dialogue_id}")
            self.progress.errors += transcript.outcome == "error"
        with self._ready:
            self.progress.ended += 1
            self._done[number] = transcripts
            if number == self._wanted:
                self._ready.notify_all()

    def _measure(self, transcript: Transcript) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, metric in self._setting.own_metrics.items():
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
