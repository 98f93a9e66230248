"""A prompt → its turn: taken over, or sent within the limits, and on disk before anyone is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from pytest_experiment_profiler.budget import NOTHING, Charge, most_input_tokens, reserve_all
from pytest_experiment_profiler.errors import UNREACHABLE
from pytest_experiment_profiler.experiment import Attempt, Failure, Prompt, Reply, Turn
from pytest_experiment_profiler.pricing import count_tokens, price_usd
from pytest_experiment_profiler.recall import Call
from pytest_experiment_profiler.records import hash_prompt
from pytest_experiment_profiler.reports.plain import make_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pytest_experiment_profiler.admission import Admission
    from pytest_experiment_profiler.budget import Ledger
    from pytest_experiment_profiler.errors import ClientError
    from pytest_experiment_profiler.pacing import Outcome, Pacing
    from pytest_experiment_profiler.recall import Recall
    from pytest_experiment_profiler.runlog import RunLog

TOO_MANY = 429
UNREACHABLE_S = 20.0
"""Seconds without any answer to a connection after which a run stops."""


@dataclass(slots=True)
class Progress:
    """What a run has done so far, and why it stopped; read by those who show it."""

    halt: Callable[[], None]
    stopped: str | None = None
    problems: list[str] = field(default_factory=list)
    lost_answers: list[str] = field(default_factory=list)
    missing_lines: int = 0
    write_error: str | None = None
    reused: int = 0
    ended: int = 0
    taken_over: int = 0
    errors: int = 0
    unreachable_since: float | None = None

    def stop(self, reason: str) -> None:
        """Keep the first reason for sending nothing more."""
        if self.stopped is None:
            self.stopped = make_line(reason)
            self.halt()

    def may_go_on(self) -> bool:
        """Tell whether further calls are wanted."""
        return self.stopped is None

    def save(self, write: Callable[[], None], answer: str | None = None, lines: int = 1) -> bool:
        """Write some lines; where there is no room, stop the run and remember what is missing.

        `answer` names the answer that is lost with the line, if one is.
        """
        try:
            write()
        except OSError as error:
            self.write_error = f"the logs can't be written: {error.strerror or error}"
            self.missing_lines += 0 if answer else lines
            self.lost_answers += [answer] if answer else []
            self.stop(f"stopped: {self.write_error}")
            return False
        return True

    def list_problems(self) -> list[str]:
        """Say what could not be read or written, each lost answer by name."""
        missing = []
        if self.lost_answers:
            missing.append("the answer of " + ", the answer of ".join(self.lost_answers))
        if self.missing_lines:
            missing.append(f"{self.missing_lines} lines that can be made again")
        lost = [f"{self.write_error}; missing there: {', and '.join(missing)}"] if missing else []
        return [*self.problems, *lost]


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """All that a run's calls share."""

    client: str
    complete: Callable[[Prompt], Awaitable[Reply]]
    log: RunLog
    recall: Recall | None
    pacing: Pacing
    admission: Admission
    ledgers: Sequence[Ledger]
    timeout_s: float
    priced: bool
    progress: Progress

    async def ask(self, position: int, prompt: Prompt) -> Turn | str:
        """Get a prompt's turn, or the reason why it was not sent."""
        digest = hash_prompt(prompt, self.client)
        earlier: tuple[Attempt, ...] = ()
        if self.recall is not None:
            call = Call(prompt.dialogue_id, prompt.repeat, prompt.turn, digest)
            turn, earlier = self._take_over(position, prompt, call)
            if turn is not None:
                return turn
        gate = _CallGate(self, position, prompt, digest)
        try:
            outcome = await self.pacing.call(
                lambda: self.complete(prompt), gate, self.timeout_s, earlier
            )
        except asyncio.CancelledError:
            if self.progress.may_go_on():
                raise
            outcome = None
        if outcome is None:
            return str(self.progress.stopped)
        return self._log(position, prompt, outcome, digest)

    def _take_over(
        self, position: int, prompt: Prompt, call: Call
    ) -> tuple[Turn | None, tuple[Attempt, ...]]:
        """Return a recorded turn, or the attempts that were made before."""
        assert self.recall is not None  # noqa: S101 -- its one caller looked
        spans = self.recall.find(call)
        turn = None if spans is None else self.recall.read(spans)
        if spans is None or turn is None or turn.error is not None:
            return None, self.recall.attempts(call)
        self.log.adopt(position, prompt, spans)
        self.progress.reused += 1
        return replace(turn, prompt=prompt, reused=True), ()

    def _redact(self, outcome: Outcome) -> Outcome:
        """Leave secrets out of what is shown of a call, and sent again in the next turn."""
        if not self.log.secrets:
            return outcome
        redact, reply, error = self.log.redact, outcome.reply, outcome.error
        told = [error.type, error.message] if error else []
        told += [reply.text, reply.model or "", reply.request_id or ""] if reply else []
        if not any(map(self.log.holds_secret, told)):
            return outcome
        return outcome._replace(
            reply=reply
            and replace(
                reply,
                text=redact(reply.text),
                model=reply.model and redact(reply.model),
                request_id=reply.request_id and redact(reply.request_id),
            ),
            error=error and Failure(type=redact(error.type), message=redact(error.message)),
        )

    def _log(self, position: int, prompt: Prompt, outcome: Outcome, digest: str) -> Turn:
        outcome = self._redact(outcome)
        turn = Turn(
            prompt=prompt,
            reply=outcome.reply,
            error=outcome.error,
            attempts=outcome.attempts,
            sent_at=outcome.sent_at,
            latency_s=outcome.latency_s,
        )
        if outcome.error and outcome.scope != "call":
            reason = f"stopped: {outcome.error.type}: {outcome.error.message}"
            self.progress.stop(reason)
            if outcome.scope == "account":
                self.admission.closed = reason
        write = partial(self.log.append_response, position, turn, digest)
        if self.progress.save(write, answer=_name(prompt)):
            return turn
        message = f"the answer is not in the logs ({self.progress.stopped})"
        return replace(turn, error=Failure(type="log_error", message=message))


class _CallGate:
    """What each attempt of one call passes: budget, admission, the log of what is sent."""

    __slots__ = ("_caller", "_prompt", "_tokens", "_worst", "_write")

    def __init__(self, caller: Caller, position: int, prompt: Prompt, digest: str) -> None:
        self._caller = caller
        self._prompt = prompt
        self._write = partial(caller.log.append_request, position, prompt, digest)
        self._tokens = most_input_tokens(prompt) + prompt.max_tokens
        self._worst = worst_case(prompt, priced=caller.priced) if caller.ledgers else NOTHING

    async def enter(self, attempts: Sequence[Attempt]) -> bool:
        caller = self._caller
        may_go_on = caller.progress.may_go_on
        if caller.ledgers and not await reserve_all(caller.ledgers, self._worst, may_go_on):
            caller.progress.stop("budget")
            return False
        entered = False
        try:
            entered = await caller.admission.enter(self._tokens, may_go_on)
        finally:
            if not entered:
                self._settle(NOTHING)
        if not entered:
            return False
        if not caller.progress.save(partial(self._write, attempts)):
            self.leave(0.0, None, None)
            return False
        return True

    def leave(self, started: float, reply: Reply | None, error: ClientError | None) -> None:
        caller = self._caller
        too_many = error is not None and error.status == TOO_MANY
        if error is None or error.kind != UNREACHABLE:
            caller.progress.unreachable_since = None
        limits = reply.limits if reply else error.limits if error else ()
        caller.admission.leave(
            started, answered=reply is not None, too_many=too_many, limits=limits
        )
        if error is not None and too_many and error.retry_after_s:
            caller.admission.pause(error.retry_after_s)
        if error is not None and error.lost:
            self._settle(self._worst)
        elif error is not None and error.kind == UNREACHABLE:
            self._count_unreachable(started, error)
            self._settle(NOTHING)
        elif reply is not None and caller.ledgers:
            self._settle(actual_cost(reply, self._prompt, priced=caller.priced))
        else:
            self._settle(NOTHING)

    def _count_unreachable(self, started: float, error: ClientError) -> None:
        progress = self._caller.progress
        if progress.unreachable_since is None:
            progress.unreachable_since = started
        elif started - progress.unreachable_since > UNREACHABLE_S:
            progress.stop(f"stopped: {self._caller.log.redact(str(error))}")

    def _settle(self, actual: Charge) -> None:
        for ledger in self._caller.ledgers:
            ledger.settle(self._worst, actual)


def worst_case(prompt: Prompt, *, priced: bool) -> Charge:
    """Bound what one attempt can cost; a price that isn't known counts nothing."""
    tokens = most_input_tokens(prompt)
    usage = {"input_tokens": tokens, "output_tokens": prompt.max_tokens}
    usd = price_usd(prompt.model, usage) if priced else None
    return Charge(usd or Decimal(0), tokens + prompt.max_tokens)


def actual_cost(reply: Reply, prompt: Prompt, *, priced: bool) -> Charge:
    """Say what an answer cost, priced by the model that answered."""
    tokens = sum(count_tokens(reply.usage))
    usd = price_usd(reply.model or prompt.model, reply.usage) if priced else None
    if usd is None and priced:
        return worst_case(prompt, priced=priced)
    return Charge(usd or Decimal(0), tokens)


def _name(prompt: Prompt) -> str:
    return f"{prompt.dialogue_id}, turn {prompt.turn}, repeat {prompt.repeat}"
