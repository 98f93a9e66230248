"""How many calls are in flight, on a simulated clock: nobody sleeps."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_experiment_profiler.admission import MAX_PAUSE_S, START, Admission, Bucket
from pytest_experiment_profiler.errors import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class World:
    """A clock that jumps to whoever is next when all wait, and what was seen of an admission."""

    seconds: float = 0.0
    asleep: list[tuple[float, int, asyncio.Future[None]]] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=count)
    most: int = 0
    starts: list[float] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self.asleep, (self.seconds + seconds, next(self.order), future))
        await future

    async def run(self, *tasks):
        """Let tasks run to their end; where nothing can, the clock goes on."""
        running = [asyncio.ensure_future(task) for task in tasks]
        while not all(task.done() for task in running):
            for _ in range(4):
                await asyncio.sleep(0)
            assert self.asleep or all(task.done() for task in running), "all wait for nothing"
            if self.asleep and not all(task.done() for task in running):
                self.seconds, _, future = heapq.heappop(self.asleep)
                if not future.done():
                    future.set_result(None)
        await asyncio.gather(*running)


def serve(calls, answer, most=64, tokens=100, takes=1.0):
    """Make so many calls at an admission; `answer(number)` tells how one ends: ok, 429 or lost."""
    world = World()
    admission = Admission(most=most, sleep=world.sleep, now=world.now)
    numbers = iter(range(calls))

    async def work() -> None:
        for number in numbers:
            assert await admission.enter(tokens, lambda: True)
            started = world.now()
            world.starts.append(started)
            world.most = max(world.most, admission.in_flight)
            assert admission.in_flight <= admission.most
            await world.sleep(takes)
            end = answer(number)
            limits = end if isinstance(end, tuple) else ()
            admission.leave(
                started, answered=end not in {"429", "lost"}, too_many=end == "429", limits=limits
            )
            world.limits.append(admission.limit)

    async def work_all() -> None:
        await world.run(*(work() for _ in range(most)))

    asyncio.run(work_all())
    return admission, world


def test_a_run_starts_with_so_many_calls_and_grows_while_answers_come():
    admission, world = serve(400, lambda _: "ok", most=100)
    assert world.starts.count(0.0) == START
    assert world.starts.count(1.0) == 2 * START
    assert (world.most, admission.limit) == (100, 100)


def test_it_never_starts_with_more_than_it_may():
    _, world = serve(50, lambda _: "ok", most=5)
    assert world.most == 5


def test_a_burst_of_429_is_one_cut():
    _, world = serve(64, lambda number: "429" if number < START else "ok", most=64)
    assert min(world.limits) == START / 2


def test_a_second_burst_is_a_second_cut():
    _, world = serve(200, lambda number: "429" if number < START + 4 else "ok", most=64)
    assert START / 4 <= min(world.limits) < START / 3


def test_other_failures_cut_nothing():
    admission, world = serve(100, lambda number: "lost" if number % 2 else "ok", most=64)
    assert min(world.limits) >= START
    assert admission.refusals == 0


def test_after_a_cut_growth_is_one_call_a_round():
    _, world = serve(600, lambda number: "429" if number < START else "ok", most=64)
    rounds = {second: world.starts.count(second) for second in sorted(set(world.starts))}
    counts = [number for second, number in rounds.items() if second >= 2][:4]
    assert all(0 <= later - earlier <= 2 for earlier, later in pairwise(counts))


def test_a_pause_holds_all_back():
    world = World()
    admission = Admission(most=8, sleep=world.sleep, now=world.now)
    admission.pause(7.5)
    asyncio.run(world.run(admission.enter(1, lambda: True)))
    assert world.seconds == 7.5


def test_nobody_waits_where_the_service_asks_for_too_long_a_pause():
    world = World()
    admission = Admission(most=8, sleep=world.sleep, now=world.now)
    admission.pause(MAX_PAUSE_S + 1)
    asyncio.run(world.run(admission.enter(1, lambda: True)))
    assert world.seconds == 0


def test_a_limit_that_is_whole_again_in_years_holds_nobody_up_for_ever():
    told = (RateLimit("requests", 60, 0, 1e9),)
    _, world = serve(20, lambda number: told if number == 0 else "ok", most=1)
    assert world.seconds < 120


def test_who_waits_is_let_go_when_the_run_stops():
    world = World()
    admission = Admission(most=1, sleep=world.sleep, now=world.now)
    wanted = [True]

    async def look() -> None:
        assert await admission.enter(1, lambda: True)
        waiting = asyncio.ensure_future(admission.enter(1, lambda: wanted[0]))
        await asyncio.sleep(0)
        wanted[0] = False
        admission.wake_all()
        assert await waiting is False
        assert admission.in_flight == 1

    asyncio.run(look())


ends = st.lists(st.sampled_from(["ok", "ok", "ok", "429", "lost"]), min_size=1, max_size=120)


@settings(max_examples=60)
@given(ends, st.integers(1, 70), st.floats(0.01, 5))
def test_whatever_comes_all_are_served_within_the_limits(script, most, takes):
    admission, world = serve(len(script), script.__getitem__, most=most, takes=takes)
    assert len(world.starts) == len(script)
    assert world.most <= most
    assert 1 <= admission.limit <= most
    assert admission.in_flight == 0
    assert admission.refusals == script.count("429")


@settings(max_examples=40)
@given(st.integers(1, 50), st.integers(0, 50), st.floats(0.1, 30), st.floats(0.01, 2))
def test_headroom_that_was_told_is_kept_to(limit, remaining, reset_s, takes):
    remaining = min(remaining, limit)
    told = (RateLimit("requests", limit, remaining, reset_s),)
    _, world = serve(40, lambda number: told if number == 0 else "ok", most=10, takes=takes)
    later = [start for start in world.starts if start > takes]
    rate = (limit - remaining) / reset_s or limit
    for start in later:
        window = [other for other in later if start <= other < start + 1.0]
        assert len(window) <= limit + rate + 1


def test_a_worker_takes_its_share_of_what_the_account_has():
    world = World()
    admission = Admission(most=64, sleep=world.sleep, now=world.now, share=0.5)
    assert admission.limit == START / 2

    async def start(count) -> None:
        for _ in range(count):
            await admission.enter(1, lambda: True)

    asyncio.run(world.run(start(1)))
    told = [RateLimit("requests", 10, 10, 1000.0)]
    admission.leave(0.0, answered=True, too_many=False, limits=told)
    asyncio.run(world.run(start(5)))
    assert world.seconds == 0.0
    asyncio.run(world.run(start(1)))
    assert world.seconds > 0.0


numbers = st.floats(0, 1000)


@given(numbers, numbers, st.floats(1, 1000), numbers, numbers)
def test_a_bucket_is_never_fuller_than_its_limit(level, rate, limit, amount, seconds):
    bucket = Bucket(level=min(level, limit), rate=rate, limit=limit, at=0.0)
    wait_s = bucket.wait_s(amount, seconds)
    assert 0 <= wait_s <= MAX_PAUSE_S
    bucket.take(amount, seconds)
    assert bucket.level <= limit
