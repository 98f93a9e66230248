"""Held dialogues → read, measured, counted, logged and handed over, a handful at a time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from pytest_experiment_profiler.metrics import open_readers, read_all
from pytest_experiment_profiler.metrics.own import Own, measure
from pytest_experiment_profiler.metrics.scores import score_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_experiment_profiler.caller import Progress
    from pytest_experiment_profiler.experiment import Experiment, Metric, Transcript
    from pytest_experiment_profiler.handover import Handover
    from pytest_experiment_profiler.records import Record
    from pytest_experiment_profiler.runlog import RunLog
    from pytest_experiment_profiler.tally import Tally

GATHER_S = 0.02
"""Seconds for which held dialogues are gathered: read one by one they take half as long again,
because the processor has forgotten each reader before its next turn."""

ENOUGH = 20_000
"""Characters of answers after which the loop has its turn again: some 15 ms of reading."""


class Delivery:
    """What becomes of a dialogue once all its repeats were held; used on the loop alone."""

    def __init__(  # noqa: PLR0913 -- where each part of it goes
        self,
        experiment: Experiment,
        own_metrics: Mapping[str, Metric],
        *,
        log: RunLog,
        tally: Tally,
        progress: Progress,
        handover: Handover,
    ) -> None:
        self._readers = open_readers(experiment)
        self._own_metrics = own_metrics
        self._log = log
        self._tally = tally
        self._progress = progress
        self._handover = handover
        self._held: list[tuple[int, list[Transcript]]] = []
        self._later: asyncio.Task[None] | None = None

    def add(self, number: int, held: list[Transcript]) -> None:
        """Take a dialogue, which is delivered soon; raise what broke an earlier delivery."""
        self._held.append((number, held))
        if self._later is None or self._later.done():
            if self._later is not None:
                self._later.result()
            self._later = asyncio.create_task(self._deliver_later())

    def finish(self) -> None:
        """Deliver all that was added; raise what broke an earlier delivery."""
        while self._held:
            self._deliver_some()
        if self._later is not None and self._later.done():
            self._later.result()

    async def _deliver_later(self) -> None:
        await asyncio.sleep(GATHER_S)
        while self._held:
            self._deliver_some()
            await asyncio.sleep(0)  # so that calls in flight have their turn

    def _deliver_some(self) -> None:
        count = size = 0
        while count < len(self._held) and size < ENOUGH:
            size += sum([len(transcript.text) for transcript in self._held[count][1]])
            count += 1
        batch, self._held = self._held[:count], self._held[count:]
        read = iter(read_all([one for _, held in batch for one in held], self._readers))
        whole = [(number, [next(read) for _ in held]) for number, held in batch]
        scores = [score for _, transcripts in whole for score in self._count(transcripts)]
        self._progress.save(partial(self._log.append_scores, scores), lines=len(scores))
        for number, transcripts in whole:
            self._handover.put(number, transcripts)
        self._handover.tell()

    def _count(self, transcripts: list[Transcript]) -> Iterator[tuple[int, Record]]:
        """Count one dialogue, and say what each of its transcripts is worth."""
        own = self.measure(transcripts)
        self._tally.add(transcripts, own)
        progress = self._progress
        progress.ended += 1
        progress.errors += [transcript.outcome for transcript in transcripts].count("error")
        turns = [turn for transcript in transcripts for turn in transcript.turns]
        progress.taken_over += bool(turns) and False not in [turn.reused for turn in turns]
        for transcript, values in zip(transcripts, own, strict=True):
            yield transcript.dialogue.position, score_record(transcript, values)

    def measure(self, transcripts: Sequence[Transcript]) -> list[Own]:
        """Call the own metrics on each of a dialogue's transcripts."""
        return [measure(transcript, self._own_metrics) for transcript in transcripts]
