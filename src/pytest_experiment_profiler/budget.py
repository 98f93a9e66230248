"""What calls may cost: the worst case is set aside before a call starts, so nothing overshoots."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from pytest_experiment_profiler.experiment import Prompt

MESSAGE_TOKENS = 16
PROMPT_TOKENS = 64
"""What a service may add to a prompt, a message and a whole one."""


class Charge(NamedTuple):
    """Money and tokens; `usd` is zero where money doesn't count."""

    usd: Decimal
    tokens: int


NOTHING = Charge(Decimal(0), 0)


def most_input_tokens(prompt: Prompt) -> int:
    """Bound a prompt's tokens from above: no token is shorter than a byte of UTF-8."""
    texts = [message.content for message in prompt.messages] + [prompt.system or ""]
    size = sum([len(text.encode("utf-8", "surrogatepass")) for text in texts])
    return size + MESSAGE_TOKENS * len(prompt.messages) + PROMPT_TOKENS


@dataclass(slots=True)
class Ledger:
    """One budget: what is spent, and what calls in flight may yet cost; None is no limit."""

    usd: Decimal | None = None
    tokens: int | None = None
    spent: Charge = NOTHING
    reserved: Charge = NOTHING
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    def fits(self, worst: Charge) -> bool:
        """Tell whether a call's worst case can be set aside now."""
        usd = self.spent.usd + self.reserved.usd + worst.usd
        tokens = self.spent.tokens + self.reserved.tokens + worst.tokens
        return (self.usd is None or usd <= self.usd) and (
            self.tokens is None or tokens <= self.tokens
        )

    @property
    def idle(self) -> bool:
        """Tell whether nothing is set aside, so that waiting would bring nothing back."""
        return self.reserved == NOTHING

    def reserve(self, worst: Charge) -> None:
        """Set a worst case aside."""
        self.reserved = _add(self.reserved, worst)

    def settle(self, worst: Charge, actual: Charge) -> None:
        """Replace a worst case that was set aside by what the call did cost."""
        self.reserved = _add(self.reserved, worst, -1)
        self.spent = _add(self.spent, actual)
        self.wake()

    def spend(self, actual: Charge) -> None:
        """Count what an earlier part of a run did cost."""
        self.spent = _add(self.spent, actual)

    async def wait(self) -> None:
        """Wait until something was settled."""
        import asyncio  # noqa: PLC0415 -- 12 ms, needed in a run only

        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def wake(self) -> None:
        """Let all who wait look again."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)


async def reserve_all(
    ledgers: Sequence[Ledger], worst: Charge, may_go_on: Callable[[], bool]
) -> bool:
    """Set a worst case aside in every ledger, waiting for calls in flight to be settled.

    Return False where it does not fit and nothing in flight could make room.
    """
    while may_go_on():
        tight = next((ledger for ledger in ledgers if not ledger.fits(worst)), None)
        if tight is None:
            for ledger in ledgers:
                ledger.reserve(worst)
            return True
        if tight.idle:
            return False
        await tight.wait()
    return False


def _add(one: Charge, other: Charge, sign: int = 1) -> Charge:
    return Charge(one.usd + sign * other.usd, one.tokens + sign * other.tokens)
