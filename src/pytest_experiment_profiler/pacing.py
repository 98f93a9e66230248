"""When a call may start, how often it is tried, how long it may take."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_experiment_profiler.errors import ClientError, Scope
from pytest_experiment_profiler.experiment import Attempt, Failure, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAX_ATTEMPTS = 6
BACKOFF_S = 0.5
MAX_WAIT_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a call ended, after all its attempts; `scope` of the last failure."""

    reply: Reply | None
    error: Failure | None
    attempts: tuple[Attempt, ...]
    sent_at: float
    latency_s: float
    scope: Scope = "call"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pacing:
    """The rules of retrying, with the clock and the dice that they go by."""

    sleep: Callable[[float], Awaitable[None]]
    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    draw: Callable[[], float] = field(default=random.random)

    async def call(
        self,
        attempt: Callable[[], Awaitable[Reply]],
        timeout_s: float,
        may_go_on: Callable[[], bool],
    ) -> Outcome:
        """Try a call until it is answered, hopeless, out of time, or no longer wanted."""
        import asyncio  # noqa: PLC0415 -- 12 ms, needed in a run only

        attempts: list[Attempt] = []
        deadline = self.now() + timeout_s
        wait_s = 0.0
        while True:
            sent_at, started = self.wall(), self.now()
            reply, error = None, None
            try:
                async with asyncio.timeout(deadline - started):
                    reply = _checked(await attempt())
            except ClientError as failure:
                error = failure
            except TimeoutError:
                error = ClientError(f"no answer within {timeout_s:g} s", kind="timeout")
            except Exception as failure:  # noqa: BLE001 -- a client is the user's code; recorded
                error = ClientError(str(failure) or repr(failure), kind=type(failure).__name__)
            said = None if error is None else f"{error.kind}: {error}"
            status = 200 if error is None else error.status
            attempts.append(Attempt(status=status, error=said, waited_s=round(wait_s, 3)))
            next_wait_s = self._next_wait(error, len(attempts), deadline)
            if next_wait_s is None or not may_go_on():
                return Outcome(
                    reply=reply,
                    error=None if error is None else Failure(type=error.kind, message=str(error)),
                    attempts=tuple(attempts),
                    sent_at=sent_at,
                    latency_s=round(self.now() - started, 6),
                    scope="call" if error is None else error.scope,
                )
            wait_s = next_wait_s
            await self.sleep(wait_s)

    def _next_wait(self, error: ClientError | None, tries: int, deadline: float) -> float | None:
        """Seconds until the next attempt, or None: no further one."""
        if error is None or not error.retryable or tries >= MAX_ATTEMPTS:
            return None
        wait_s = error.retry_after_s
        if wait_s is None:
            wait_s = self.draw() * min(MAX_WAIT_S, BACKOFF_S * 2**tries)
        if wait_s > MAX_WAIT_S or self.now() + wait_s >= deadline:
            return None
        return wait_s


def _checked(reply: object) -> Reply:
    if not isinstance(reply, Reply):
        raise TypeError(f"the client returned {type(reply).__name__}, not a Reply")
    return reply
