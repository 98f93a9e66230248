"""A plain (blocking) client → an async one, on daemon threads of its own."""

from __future__ import annotations

import asyncio
import inspect
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_experiment_profiler.experiment import Client, Prompt, Reply

Job = tuple["Callable[[Prompt], Any]", "Prompt", "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Threads:
    """Run blocking calls on at most `size` threads, which never hold up the end of the process."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._started = 0
        self._idle = 0

    async def run(self, function: Callable[[Prompt], Any], prompt: Prompt) -> Any:  # noqa: ANN401
        """Call a function on a thread and wait for what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((function, prompt, future, loop))
        if self._idle == 0 and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._work, name="blocking-client", daemon=True).start()
        return await future

    def close(self) -> None:
        """Let each thread end after its current call."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while True:
            self._idle += 1
            job = self._jobs.get()
            self._idle -= 1
            if job is None:
                return
            function, prompt, future, loop = job
            try:
                result, error = function(prompt), None
            except BaseException as failure:  # noqa: BLE001 -- handed to the one who waits
                result, error = None, failure
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the client raised StopIteration"))
    else:
        future.set_exception(error)


def check_client(client: object) -> None:
    """Raise UsageError for what is no client."""
    if isinstance(client, type) or not callable(getattr(client, "complete", None)):
        what = f"the class {client.__name__}" if isinstance(client, type) else type(client).__name__
        raise UsageError(f"model_client gave {what}: an object with complete(prompt) is needed")


def as_async(client: Client, threads: Threads) -> Callable[[Prompt], Awaitable[Reply]]:
    """Return a client's `complete` as an async function."""
    complete: Callable[[Prompt], Any] = client.complete
    if inspect.iscoroutinefunction(complete):
        return complete

    async def call(prompt: Prompt) -> Reply:
        result = await threads.run(complete, prompt)
        reply: Reply = await result if inspect.isawaitable(result) else result
        return reply

    return call
