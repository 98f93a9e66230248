"""How far a run is → one line for a terminal, or a line every 10 % elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

REWRITE_S = 0.2
TENTHS = 10
SETTLE_S = 0.3
SETTLE_FEW_S = 1.0
"""Seconds in which a run, or one of few dialogues, needs no lines: it may be over by then."""


class Standing(NamedTuple):
    """How a run stands: counts of dialogues and calls, money in USD (None: not counted)."""

    total: int
    ended: int
    errors: int
    in_flight: int
    refusals_429: int
    spent_usd: Decimal | None = None
    budget_usd: Decimal | None = None
    eta_s: float | None = None


def describe_standing(standing: Standing) -> str:
    """Say it in one line: `212/400 dialogues  5 errors | in flight 37 | ...`."""
    plural = "s" if standing.errors > 1 else ""
    errors = f"  {standing.errors} error{plural}" if standing.errors else ""
    parts = [f"{standing.ended}/{standing.total} dialogues{errors}"]
    parts.append(f"in flight {standing.in_flight}")
    if standing.refusals_429:
        parts.append(f"429s {standing.refusals_429}")
    if standing.spent_usd is not None:
        budget = f" of ${standing.budget_usd:.2f}" if standing.budget_usd is not None else ""
        parts.append(f"${standing.spent_usd:.2f}{budget}")
    if standing.eta_s is not None:
        minutes, seconds = divmod(round(standing.eta_s), 60)
        parts.append(f"eta {minutes}m{seconds:02}s" if minutes else f"eta {seconds}s")
    return " | ".join(parts)


@dataclass(slots=True)
class StatusLine:
    """A line below the cursor's, rewritten in place; the cursor stays where it was.

    `write` puts text on the screen as it is (None: say nothing), `column` tells where the cursor
    is. Off a terminal a line is added every tenth of the way.
    """

    write: Callable[[str], None] | None
    is_terminal: bool = False
    column: Callable[[], int] = lambda: 0
    width: Callable[[], int] = lambda: 80
    now: Callable[[], float] = time.monotonic
    _shown: bool = False
    _at: float = float("-inf")
    _tenths: int = 0
    _line_column: int = 0
    _begun: float | None = None

    def show(self, standing: Standing) -> None:
        """Show how a run stands, if it is time to."""
        if not self.is_terminal:
            self._add_line(standing)
        elif self.now() - self._at >= REWRITE_S and not self._is_at_edge():
            self._at = self.now()
            self._write_below(describe_standing(standing)[: self.width() - 1])
            self._shown = True

    def clear(self) -> None:
        """Take the line away before others write."""
        if self._shown:
            self._write_below("")
            self._shown = False

    def _write_below(self, text: str) -> None:
        if self.write is not None:
            column = self.column() % self.width()
            forward = f"\x1b[{column}C" if column > 0 else ""
            self.write(f"\n\r\x1b[2K{text}\x1b[1A\r{forward}")

    def _is_at_edge(self) -> bool:
        """Tell whether the next character goes to a new line: no move leads back to there."""
        column = self.column()
        return column > 0 and column % self.width() == 0

    def _add_line(self, standing: Standing) -> None:
        few = standing.total < TENTHS
        tenths = TENTHS * standing.ended // standing.total if standing.total else TENTHS
        if self._begun is None:
            self._begun = self.now()
        if self.now() - self._begun < (SETTLE_FEW_S if few else SETTLE_S):
            return
        if self.write is not None and self._tenths < tenths < TENTHS:  # after the last: the table
            self._tenths = tenths
            start = "\n" if self.column() > self._line_column else ""
            self._line_column = self.column()
            self.write(f"{start}{describe_standing(standing)}\n")


@contextmanager
def show_bar(stream: TextIO) -> Iterator[Callable[[Standing], None]]:
    """Show a bar while dialogues end, on a terminal, for the shell; plain lines elsewhere."""
    if not stream.isatty():
        yield StatusLine(write=lambda text: print(text, end="", file=stream, flush=True)).show
        return
    from rich.console import Console  # noqa: PLC0415 -- on a terminal only
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task("")

        def show(standing: Standing) -> None:
            text = describe_standing(standing)
            progress.update(task, total=standing.total, completed=standing.ended, description=text)

        yield show
