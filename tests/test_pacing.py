"""Attempts, waits and deadlines on a simulated clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.errors import ClientError
from pytest_experiment_profiler.experiment import Attempt, Reply
from pytest_experiment_profiler.pacing import MAX_ATTEMPTS, MAX_BACKOFF_S, MAX_WAIT_S, Pacing

if TYPE_CHECKING:
    from collections.abc import Sequence

REPLY = Reply(text="From clouds.")


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class Door:
    """A gate that lets so many attempts pass, and counts."""

    def __init__(self, places: float = float("inf")) -> None:
        self.places = places
        self.asked_after: list[tuple[Attempt, ...]] = []
        self.left: list[tuple[Reply | None, ClientError | None]] = []

    async def enter(self, attempts: Sequence[Attempt]) -> bool:
        self.asked_after.append(tuple(attempts))
        self.places -= 1
        return self.places >= 0

    def leave(self, started: float, reply: Reply | None, error: ClientError | None) -> None:
        del started
        self.left.append((reply, error))


def busy(**changes: Any) -> ClientError:
    values: dict[str, Any] = {"retryable": True, "status": 529, "kind": "overloaded_error"}
    return ClientError("busy", **values | changes)


def call(*answers, timeout_s=600.0, door=None, draw=1.0, earlier=()):
    """Make a call whose attempts end like this, the last one again and again."""
    clock = Clock()
    pacing = Pacing(
        sleep=clock.sleep, now=clock.now, wall=lambda: 1e9 + clock.now(), draw=lambda: draw
    )
    script: list[Any] = list(answers)

    async def attempt() -> Reply:
        answer = script.pop(0) if len(script) > 1 else script[0]
        if callable(answer):
            answer = answer(clock)
        if isinstance(answer, BaseException):
            raise answer
        reply: Reply = answer
        return reply

    outcome = asyncio.run(pacing.call(attempt, door or Door(), timeout_s, earlier))
    return outcome, clock


def test_an_answer_ends_a_call():
    outcome, clock = call(REPLY)
    assert (outcome.reply, outcome.error, clock.slept) == (REPLY, None, [])
    assert outcome.attempts == (Attempt(status=200, error=None, waited_s=0.0),)
    assert outcome.sent_at == 1e9


def test_each_attempt_is_on_record():
    outcome, _ = call(busy(), busy(status=429, kind="rate_limit_error", retry_after_s=2.5), REPLY)
    assert outcome.reply == REPLY
    assert outcome.attempts == (
        Attempt(status=529, error="overloaded_error: busy", waited_s=0.0),
        Attempt(status=429, error="rate_limit_error: busy", waited_s=1.0),
        Attempt(status=200, error=None, waited_s=2.5),
    )


def test_waits_double_up_to_a_limit():
    _, clock = call(busy(), timeout_s=1e9)
    assert clock.slept == [min(MAX_BACKOFF_S, 2.0**n) for n in range(MAX_ATTEMPTS - 1)]


def test_waits_are_drawn():
    _, clock = call(busy(), busy(), REPLY, draw=0.25)
    assert clock.slept == [0.25, 0.5]


def test_the_services_wait_is_kept_to():
    _, clock = call(busy(retry_after_s=7.0), REPLY, draw=0.0)
    assert clock.slept == [7.0]


@pytest.mark.parametrize(
    ("wait", "said"), [(MAX_WAIT_S + 1, "61 s"), (float("inf"), "inf s"), (10**400, "inf s")]
)
def test_a_wait_beyond_the_limit_is_none(wait, said):
    outcome, clock = call(busy(retry_after_s=wait), REPLY)
    assert (clock.slept, len(outcome.attempts)) == ([], 1)
    assert outcome.error.message.startswith(f"busy (asked to wait {said}")


@pytest.mark.parametrize("odd", [0.0, -5.0, float("nan"), "soon"])
def test_a_wait_that_is_none_is_drawn(odd):
    _, clock = call(busy(retry_after_s=odd), REPLY, draw=0.5)
    assert clock.slept == [0.5]


def test_attempts_end():
    outcome, _ = call(busy(), timeout_s=1e9)
    assert len(outcome.attempts) == MAX_ATTEMPTS
    assert outcome.error.type == "overloaded_error"
    assert outcome.error.message == f"busy (given up after {MAX_ATTEMPTS} attempts)"


def test_what_is_hopeless_is_not_tried_again():
    hopeless = ClientError("wrong key", status=401, kind="authentication_error", scope="run")
    outcome, clock = call(hopeless, REPLY)
    assert (len(outcome.attempts), clock.slept, outcome.scope) == (1, [], "run")
    assert (outcome.error.type, outcome.error.message) == ("authentication_error", "wrong key")


def test_no_wait_goes_beyond_the_deadline():
    outcome, clock = call(busy(retry_after_s=40.0), timeout_s=100.0)
    assert (clock.slept, len(outcome.attempts)) == ([40.0, 40.0], 3)
    assert outcome.error.message == "busy (no time left for another attempt)"


def test_time_at_the_gate_is_not_the_calls():
    class SlowDoor(Door):
        async def enter(self, attempts: Sequence[Attempt]) -> bool:
            del attempts
            return True

    outcome, _ = call(REPLY, timeout_s=0.001, door=SlowDoor())
    assert outcome.reply == REPLY


def test_an_attempt_that_takes_too_long_is_cut():
    async def attempt() -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    pacing = Pacing(sleep=asyncio.sleep)
    outcome = asyncio.run(pacing.call(attempt, Door(), 0.01))
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.message) == ("timeout", "no answer within 0.01 s")
    assert outcome.attempts[0].lost


def test_an_attempt_that_is_cancelled_gives_its_place_back():
    door, entered = Door(), asyncio.Event()

    async def attempt() -> Reply:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def cancel() -> None:
        work = asyncio.ensure_future(Pacing(sleep=asyncio.sleep).call(attempt, door, 600.0))
        await entered.wait()
        work.cancel()
        await asyncio.wait([work])
        assert work.cancelled()

    asyncio.run(cancel())
    [(reply, error)] = door.left
    assert reply is None
    assert error is not None
    assert error.lost


def test_a_gate_that_stays_shut_until_the_deadline_ends_a_call():
    class Shutting(Door):
        async def enter(self, attempts: Sequence[Attempt]) -> bool:
            if await super().enter(attempts):
                return True
            await asyncio.Event().wait()
            raise AssertionError

    outcome, _ = call(busy(retry_after_s=0.01), timeout_s=0.02, door=Shutting(1))
    assert len(outcome.attempts) == 1
    assert outcome.error.message == "busy (no time left for another attempt)"


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (ValueError("odd"), "ValueError", "odd"),
        (KeyError(), "KeyError", "KeyError()"),
        (OSError(5, "broken"), "OSError", "[Errno 5] broken"),
    ],
)
def test_whatever_a_client_raises_is_an_error_of_its_call(failure, kind, message):
    outcome, clock = call(failure, REPLY)
    assert (outcome.error.type, outcome.error.message) == (kind, message)
    assert (len(outcome.attempts), clock.slept) == (1, [])


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "text",
        Reply,
        7,
        Reply(text=None),  # type: ignore[arg-type]
    ],
)
def test_whatever_else_a_client_returns_is_an_error_of_its_call(odd):
    outcome, _ = call(lambda _: odd)
    assert outcome.reply is None
    assert outcome.error.type == "TypeError"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_client_that_wants_to_leave_has_failed(kind):
    outcome, _ = call(kind())
    assert outcome.error.type == kind.__name__


def test_a_call_that_is_closed_ends():
    with pytest.raises(GeneratorExit):
        call(GeneratorExit())


def test_a_closed_gate_means_that_nothing_was_sent():
    outcome, _ = call(AssertionError(), door=Door(0))
    assert outcome is None


def test_a_gate_that_closes_ends_the_attempts():
    door = Door(2)
    outcome, _ = call(busy(), door=door)
    assert (len(outcome.attempts), len(door.left)) == (2, 2)
    assert outcome.error.type == "overloaded_error"
    assert outcome.error.message == "busy (the run stopped before another attempt)"


def test_the_gate_learns_how_each_attempt_ended():
    door = Door()
    call(busy(), REPLY, door=door)
    assert [(reply, error and error.status) for reply, error in door.left] == [
        (None, 529),
        (REPLY, None),
    ]


def test_earlier_attempts_come_first():
    before = Attempt(status=None, error="lost", waited_s=0.0, lost=True)
    door = Door()
    outcome, _ = call(busy(), REPLY, earlier=(before,), door=door)
    assert [attempt.status for attempt in outcome.attempts] == [None, 529, 200]
    assert door.asked_after == [outcome.attempts[:1], outcome.attempts[:2]]


def test_earlier_attempts_leave_as_many_to_make():
    before = Attempt(status=529, error="busy", waited_s=0.0)
    outcome, _ = call(busy(), timeout_s=1e9, earlier=(before,) * 3)
    assert len(outcome.attempts) == 3 + MAX_ATTEMPTS


waits = st.none() | st.floats(0, 1000)
ends = st.one_of(
    st.just(REPLY), st.builds(lambda after: busy(retry_after_s=after), waits), st.just(busy())
)


@given(st.lists(ends, min_size=1, max_size=12), st.floats(0.1, 1000), st.floats(0, 1))
def test_a_call_never_waits_beyond_its_time(answers, timeout_s, draw):
    outcome, clock = call(*answers, timeout_s=timeout_s, draw=draw)
    assert clock.seconds <= timeout_s
    assert len(outcome.attempts) == len(clock.slept) + 1 <= MAX_ATTEMPTS
    assert all(wait <= MAX_WAIT_S for wait in clock.slept)
    assert (outcome.reply is None) != (outcome.error is None)
