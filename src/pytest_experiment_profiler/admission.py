"""How many calls may be in flight at one account of a service, and when the next one may start."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterable

    from pytest_experiment_profiler.errors import RateLimit

START = 32
"""Calls in flight at first: so few that a wrong key costs little, so many that nobody waits."""

MAX_PAUSE_S = 60.0
MIN_PAUSE_S = 0.001


@dataclass(slots=True)
class Bucket:
    """One rate limit as a bucket that fills steadily: what it holds, and how fast it fills."""

    level: float
    rate: float
    limit: float
    at: float

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` can be taken (a larger one than the limit: until it is full)."""
        level = min(self.limit, self.level + (now - self.at) * self.rate)
        lacking = min(amount, self.limit) - level
        if lacking <= 0:
            return 0.0
        return min(MAX_PAUSE_S, lacking / self.rate) if self.rate > 0 else MAX_PAUSE_S

    def divide(self, share: float) -> Bucket:
        """Give a part of it."""
        return Bucket(self.level * share, self.rate * share, self.limit * share, self.at)

    def take(self, amount: float, now: float) -> None:
        """Take an amount out."""
        self.level = min(self.limit, self.level + (now - self.at) * self.rate) - amount
        self.at = now


@dataclass(slots=True)
class Admission:
    """Slow start, growth while answers come, one cut a burst of 429; shared by a session's runs.

    `share` is the part of the account's limits that is ours, where other processes use it, too;
    `closed` is why no later run needs to ask.
    The cut and the growth are those of TCP's congestion control (RFC 5681): doubling each round
    trip until the first cut, one call more a round trip after it.
    """

    most: int
    sleep: Callable[[float], Awaitable[None]]
    now: Callable[[], float] = time.monotonic
    share: float = 1.0
    limit: float = field(init=False)
    in_flight: int = 0
    refusals: int = 0
    closed: str | None = None
    _slow_start: bool = True
    _cut_at: float = float("-inf")
    _paused_until: float = float("-inf")
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.limit = self._start()

    def widen(self, most: int) -> None:
        """Allow another run as many calls as it asks for."""
        self.most = max(self.most, most)
        if self._slow_start:
            self.limit = max(self.limit, self._start())

    def _start(self) -> float:
        return max(1.0, min(START * self.share, self.most))

    async def enter(self, tokens: int, may_go_on: Callable[[], bool]) -> bool:
        """Wait for a place; False: no longer wanted. `tokens` is what the call may use up."""
        while may_go_on():
            if self.in_flight >= int(self.limit):
                await self._queue()
                continue
            wait_s = self._wait_s(tokens)
            if wait_s > 0:
                await self.sleep(min(max(wait_s, MIN_PAUSE_S), 1.0))
                continue
            self.in_flight += 1
            self._take(tokens)
            return True
        return False

    def leave(
        self, started: float, *, answered: bool, too_many: bool, limits: Iterable[RateLimit] = ()
    ) -> None:
        """Give the place back, and learn from how the call ended."""
        self.in_flight -= 1
        if too_many:
            self.refusals += 1
            self._cut(started)
        elif answered:
            step = 1.0 if self._slow_start else 1.0 / self.limit
            self.limit = min(float(self.most), self.limit + step)
        now = self.now()
        for limit in limits:
            reset_s = min(limit.reset_s, MAX_PAUSE_S)
            rate = (limit.limit - limit.remaining) / reset_s if reset_s > 0 else 0.0
            level = limit.remaining - (self.in_flight if limit.kind == "requests" else 0)
            whole = Bucket(level, rate or limit.limit, limit.limit, now)
            self._buckets[limit.kind] = whole.divide(self.share)
        self.wake()

    def pause(self, seconds: float) -> None:
        """Start no call for so long, as the service asked, unless it asks for too much."""
        if seconds <= MAX_PAUSE_S:
            self._paused_until = max(self._paused_until, self.now() + seconds)

    def wake(self) -> None:
        """Let those who wait look again: as many as there are places."""
        places = int(self.limit) - self.in_flight
        while self._waiting and places > 0:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                places -= 1

    def wake_all(self) -> None:
        """Let all who wait look again, because the run stops."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)

    def _cut(self, started: float) -> None:
        """Halve the limit, once for all calls that were in flight together."""
        if started < self._cut_at:
            return
        self._cut_at = self.now()
        self._slow_start = False
        self.limit = max(1.0, self.limit / 2)

    def _wait_s(self, tokens: int) -> float:
        now = self.now()
        wait_s = max(self._paused_until - now, 0.0)
        for kind, bucket in self._buckets.items():
            wait_s = max(wait_s, bucket.wait_s(1 if kind == "requests" else tokens, now))
        return wait_s

    def _take(self, tokens: int) -> None:
        for kind, bucket in self._buckets.items():
            bucket.take(1 if kind == "requests" else tokens, self.now())

    async def _queue(self) -> None:
        import asyncio  # noqa: PLC0415 -- 12 ms, needed in a run only

        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            self.wake()  # a place that was just given to this call is another's
            raise
