"""How often a call is tried, how long it waits in between, how long it may take in all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_experiment_profiler.errors import ClientError, Scope, say_error
from pytest_experiment_profiler.experiment import Attempt, Failure, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

MAX_ATTEMPTS = 8
BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
MAX_WAIT_S = 60.0
NO_TIME = " (no time left for another attempt)"
STOPPED = " (the run stopped before another attempt)"


class Gate(Protocol):
    """What every attempt of a call passes."""

    async def enter(self, attempts: Sequence[Attempt]) -> bool:
        """Wait until an attempt may start after these; False: it may not, and no later one."""
        ...

    def leave(self, started: float, reply: Reply | None, error: ClientError | None) -> None:
        """Learn how an attempt that entered ended."""
        ...


class Outcome(NamedTuple):
    """How a call ended, after all its attempts; `scope` is that of the last failure."""

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
        gate: Gate,
        timeout_s: float,
        earlier: Sequence[Attempt] = (),
    ) -> Outcome | None:
        """Try a call until it is answered, hopeless, out of time or no longer wanted.

        None: it was never sent. `earlier` are attempts of a part of the run that was cut short.
        """
        attempts = list(earlier)
        deadline, wait_s = float("inf"), 0.0
        if not await gate.enter(attempts):
            return None
        while True:
            sent_at, started = self.wall(), self.now()
            deadline = min(deadline, started + timeout_s)
            try:
                reply, error = await _try(attempt, deadline - started, timeout_s)
            except BaseException:
                gate.leave(started, None, ClientError("cut short", lost=True))
                raise
            gate.leave(started, reply, error)
            attempts.append(_attempt(error, wait_s))
            next_wait_s, reason = self._next_wait(error, len(attempts) - len(earlier), deadline)
            outcome = Outcome(
                reply=reply,
                error=Failure(type=error.kind, message=f"{error}{reason}") if error else None,
                attempts=tuple(attempts),
                sent_at=sent_at,
                latency_s=round(self.now() - started, 6),
                scope=error.scope if error else "call",
            )
            if next_wait_s is None:
                return outcome
            wait_s = next_wait_s
            try:
                if not await self._wait(wait_s, gate, attempts, deadline):
                    return _add_reason(outcome, STOPPED)
            except TimeoutError:
                return _add_reason(outcome, NO_TIME)

    async def _wait(
        self, wait_s: float, gate: Gate, attempts: Sequence[Attempt], deadline: float
    ) -> bool:
        """Wait and pass the gate again; raise TimeoutError where the deadline is first."""
        async with asyncio.timeout(deadline - self.now()):
            await self.sleep(wait_s)
            return await gate.enter(attempts)

    def _next_wait(
        self, error: ClientError | None, tries: int, deadline: float
    ) -> tuple[float | None, str]:
        """Seconds until the next attempt, or None and why there is no further one."""
        if error is None or not error.retryable:
            return None, ""
        if tries >= MAX_ATTEMPTS:
            return None, f" (given up after {tries} attempts)"
        wait_s = error.retry_after_s
        if wait_s is None:
            wait_s = self.draw() * min(MAX_BACKOFF_S, BACKOFF_S * 2**tries)
        elif wait_s > MAX_WAIT_S:
            asked = f" (asked to wait {wait_s:g} s, more than {MAX_WAIT_S:g} s"
            return None, f"{asked}: left to a later resume)"
        if self.now() + wait_s >= deadline:
            return None, NO_TIME
        return wait_s, ""


def _add_reason(outcome: Outcome, reason: str) -> Outcome:
    failure = outcome.error
    assert failure is not None  # noqa: S101 -- there was to be another attempt
    return outcome._replace(error=replace(failure, message=f"{failure.message}{reason}"))


async def _try(
    attempt: Callable[[], Awaitable[Reply]], left_s: float, timeout_s: float
) -> tuple[Reply | None, ClientError | None]:
    """Make one attempt; whatever fails becomes the error that is returned."""
    try:
        async with asyncio.timeout(left_s):
            reply = await attempt()
        fault = _find_fault(reply)
        if fault is not None:
            return None, ClientError(fault, kind="TypeError")
    except ClientError as error:
        return None, error
    except TimeoutError:
        return None, ClientError(f"no answer within {timeout_s:g} s", kind="timeout", lost=True)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return None, ClientError(say_error(error), kind=type(error).__name__)
    except GeneratorExit:
        raise  # it is this coroutine that is closed
    except BaseException as error:  # noqa: BLE001 -- a client is the user's code; it is recorded
        return None, ClientError(say_error(error), kind=type(error).__name__)
    return _name_with_text(reply), None


def _name_with_text(reply: Reply) -> Reply:
    """Take for text what a client gave for one: no answer is lost over it."""
    if {type(reply.model), type(reply.request_id)} <= {str, NoneType}:
        return reply
    return replace(reply, model=_say_name(reply.model), request_id=_say_name(reply.request_id))


def _say_name(name: object) -> str | None:
    return None if name is None else str(name)


def _find_fault(reply: object) -> str | None:
    if not isinstance(reply, Reply):
        return f"the client returned {type(reply).__name__}, not a Reply"
    for name, (kinds, words) in _REPLY_TYPES.items():
        if not isinstance(getattr(reply, name), kinds):
            return f"the client's Reply needs a {name} that is {words}"
    return None


_REPLY_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "text"),
    "stop_reason": ((str, NoneType), "text or None"),
    "usage": ((Mapping,), "a mapping"),
    "metadata": ((Mapping,), "a mapping"),
}


def _attempt(error: ClientError | None, waited_s: float) -> Attempt:
    return Attempt(
        status=200 if error is None else error.status,
        error=None if error is None else f"{error.kind}: {error}",
        waited_s=round(waited_s, 3),
        lost=error is not None and error.lost,
    )
