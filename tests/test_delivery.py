"""Held dialogues: read together, handed over soon, nothing forgotten."""

from __future__ import annotations

import asyncio

import pytest

from pytest_experiment_profiler.caller import Progress
from pytest_experiment_profiler.delivery import ENOUGH, Delivery
from pytest_experiment_profiler.handover import Handover
from pytest_experiment_profiler.tally import Tally
from tests.builders import make_experiment, make_transcript, make_turn


class Log:
    """Takes scores, or breaks over them; tells when it was asked first."""

    def __init__(self, error=None):
        self.error = error
        self.lines = []
        self.asked = asyncio.Event()

    def append_scores(self, scores):
        self.asked.set()
        if self.error:
            raise self.error
        self.lines += scores


def open_delivery(log):
    progress, handover = Progress(halt=lambda: None), Handover()
    delivery = Delivery(
        make_experiment(), {}, log=log, tally=Tally(), progress=progress, handover=handover
    )
    return delivery, progress, handover


def take(handover, number):
    return handover.wait_for(number, lambda: None)


def test_what_is_added_is_read_and_handed_over():
    async def deliver():
        delivery, progress, handover = open_delivery(log := Log())
        delivery.add(0, [make_transcript(make_turn("x" * ENOUGH))])
        delivery.add(1, [make_transcript(make_turn("It rains."))])
        [read] = await asyncio.to_thread(take, handover, 1)
        assert [refusal.label for refusal in read.refusals] == ["none"]
        assert take(handover, 0) is not None
        assert (progress.ended, len(log.lines)) == (2, 2)

    asyncio.run(deliver())


def test_the_end_waits_for_nothing():
    async def deliver():
        delivery, progress, handover = open_delivery(Log())
        delivery.add(0, [make_transcript(make_turn("It rains."))])
        assert progress.ended == 0
        delivery.finish()
        assert progress.ended == 1
        assert take(handover, 0) is not None

    asyncio.run(deliver())


@pytest.mark.parametrize("end", ["finish", "add"])
def test_what_broke_a_delivery_is_raised(end):
    async def deliver():
        delivery, _, _ = open_delivery(log := Log(RuntimeError("broken")))
        delivery.add(0, [make_transcript(make_turn("It rains."))])
        await log.asked.wait()
        with pytest.raises(RuntimeError, match="broken"):
            delivery.finish() if end == "finish" else delivery.add(
                1, [make_transcript(make_turn("No."))]
            )

    asyncio.run(deliver())
