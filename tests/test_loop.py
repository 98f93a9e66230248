"""The thread of the event loop, where a client blocks it."""

from __future__ import annotations

import threading

import pytest

from pytest_experiment_profiler.loop import LoopThread


@pytest.fixture
def thread():
    made = LoopThread()
    yield made
    made.close()


async def block(blocked, release):
    blocked.set()
    release.wait()


def test_a_call_is_made_before_it_is_told(thread):
    calls = []
    assert thread.call(lambda: calls.append(threading.current_thread().name))
    assert calls == ["experiments"]


def test_a_blocked_loop_is_told(thread):
    blocked, release, called = threading.Event(), threading.Event(), threading.Event()
    run = thread.submit(block(blocked, release))
    blocked.wait()
    assert not thread.call(called.set)
    release.set()
    run.result()
    thread.end_run(run)
    assert called.wait()
