"""Finished dialogues from the loop's thread to the one that waits for them, by number."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_experiment_profiler.experiment import Transcript

TICK_S = 0.2
"""Seconds between two looks at a run that has nothing to take."""


class Handover:
    """Transcripts by the number of their dialogue; one thread puts, the other takes."""

    def __init__(self) -> None:
        self._done: dict[int, list[Transcript]] = {}
        self._calls: dict[int, tuple[int, ...]] = {}
        self._shapes: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._starts = [0]  # calls before each dialogue, as far as all before it are done
        self._ready = threading.Condition()
        self._is_over = False

    def put(self, number: int, transcripts: list[Transcript]) -> None:
        """Lay a dialogue's transcripts down."""
        calls = tuple([len(transcript.turns) for transcript in transcripts])
        self._calls[number] = self._shapes.setdefault(calls, calls)
        self._done[number] = transcripts

    def tell(self) -> None:
        """Wake the one that waits for what was put."""
        with self._ready:
            self._ready.notify_all()

    def end(self) -> None:
        """Say that nothing more will come."""
        self._is_over = True
        self.tell()

    def wait_for(self, number: int, idle: Callable[[], object]) -> list[Transcript] | None:
        """Wait for a dialogue; None: it never comes. `idle` is called now and then meanwhile."""
        while number not in self._done:
            with self._ready:
                if number not in self._done and not self._is_over:
                    self._ready.wait(TICK_S)
                if number in self._done or self._is_over:
                    return self._done.get(number)
            idle()
        return self._done[number]

    def drop(self, number: int) -> None:
        """Forget a dialogue that was taken for good."""
        del self._done[number]

    def find_line(self, number: int, repeat: int) -> int | None:
        """Tell in which line of responses.jsonl a repeat's last call is going to stand.

        None where an earlier dialogue is not done yet, or there was no call.
        """
        while len(self._starts) <= number and len(self._starts) - 1 in self._calls:
            self._starts.append(self._starts[-1] + sum(self._calls[len(self._starts) - 1]))
        own = self._calls.get(number, ())
        if len(self._starts) <= number or not own[repeat : repeat + 1] or not own[repeat]:
            return None
        return self._starts[number] + sum(own[: repeat + 1])
