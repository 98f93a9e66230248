"""One thread with an event loop for all runs of a session, and what they share there."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.admission import Admission

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable
    from concurrent.futures import Future

    from pytest_experiment_profiler.experiment import Client

CLOSE_S = 5.0
"""Seconds that clients get to close."""

ANSWER_S = 1.0
"""Seconds after which a loop that does not answer is taken to be blocked by a client."""

OLDEST = 2
"""The garbage collector's generation of what stayed longest; its rounds look through all."""


class LoopThread:
    """A daemon thread that runs an event loop; a client belongs to one loop, so to one of these."""

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._loop = asyncio.new_event_loop()
        self._clients: dict[int, Client] = {}
        self._admissions: dict[Hashable, Admission] = {}
        self._closed = threading.Event()
        self._under_way: set[Future[None]] = set()
        threading.Thread(target=self._serve, name="experiments", daemon=True).start()

    def submit(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Start the coroutine of a run on the loop.

        What is there now, the SDK's modules above all, is spared the garbage collector's rounds
        until the run is done: they took a sixth of its processor time.
        """
        if not self._under_way:
            gc.callbacks.append(_spare_survivors)
        gc.freeze()
        run = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._under_way.add(run)
        return run

    def end_run(self, run: Future[None]) -> None:
        """Leave the garbage collector as it was, unless another run is under way.

        Some look through its objects: hypothesis warns where it misses one.
        """
        if run in self._under_way:
            self._under_way.remove(run)
            if not self._under_way:
                gc.callbacks.remove(_spare_survivors)
                gc.unfreeze()

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call a function on the loop."""
        self._loop.call_soon_threadsafe(function)

    def call(self, function: Callable[[], None]) -> bool:
        """Call a function on the loop and wait for that; False where a client blocks the loop."""
        called = threading.Event()

        def call() -> None:
            function()
            called.set()

        self.call_soon(call)
        return called.wait(ANSWER_S)

    def admit(self, client: Client, model: str, most: int) -> Admission:
        """Return the admission to a client's account and model; the client is closed with us."""
        self._clients[id(client)] = client
        account = getattr(client, "account", None) or id(client)
        admission = self._admissions.setdefault(
            (account, model), Admission(most=most, sleep=asyncio.sleep, share=self._share)
        )
        admission.widen(most)
        return admission

    def close(self) -> None:
        """Cancel what still runs, close the clients, end the thread."""
        if not self._closed.is_set():
            if self.call(self._loop.stop):
                self._closed.wait(CLOSE_S)
            for run in list(self._under_way):
                self.end_run(run)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with suppress(SystemExit, KeyboardInterrupt):  # a task of a client's own; its run tells
                self._loop.run_forever()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._loop.run_until_complete(self._wind_up())
        finally:
            self._loop.close()
            self._closed.set()

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        closing = [_close(client) for client in self._clients.values()]
        await asyncio.gather(*closing, return_exceptions=True)


def _spare_survivors(phase: str, info: dict[str, int]) -> None:
    """Look once only through what a whole round of the garbage collector found in use.

    Reports and transcripts stay to the end, and each round would take longer than the last.
    """
    if phase == "stop" and info["generation"] == OLDEST:
        gc.freeze()


async def _close(client: Client) -> None:
    close = getattr(client, "aclose", None) or getattr(client, "close", None)
    if close is not None:
        result = close()
        if inspect.isawaitable(result):
            await result
