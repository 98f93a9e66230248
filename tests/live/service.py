"""A server on the loopback that plays the Messages API with faults, and counts what it is asked.

Which fault a request meets is decided by a hash of what it asks and of how often that was asked,
so runs repeat. It runs on a thread of a test, or as a process of its own:

    python tests/live/service.py [--delay S] [--faults '{"429": 0.05}']

which prints its URL, says under /counts what it counted, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

KEY = "sk-ant-loopback-0123456789"
MODEL = "claude-haiku-4-5-20251001"
FILLER = "Rain falls where moist air cools and its vapour gathers into drops. " * 17

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What goes out for one request; `end` is how: whole, cut, hang or trickle."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    end: str = "whole"
    is_message: bool = False


def message(text: str, **changes: Any) -> bytes:
    """Make the body of an answer."""
    body = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 20 + len(text) % 17, "output_tokens": 30 + len(text) % 101},
    }
    return json.dumps(body | changes).encode()


def error(kind: str, text: str, code: str | None = None) -> bytes:
    """Make the body of an error."""
    values: dict[str, Any] = {"type": kind, "message": text}
    if code:
        values["details"] = {"error_code": code}
    return json.dumps({"type": "error", "error": values, "request_id": "req_02"}).encode()


def _limit_headers() -> dict[str, str]:
    reset = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    start = "anthropic-ratelimit-requests"
    return {f"{start}-limit": "4000", f"{start}-remaining": "400", f"{start}-reset": reset}


def _busy(**headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = error("rate_limit_error", "This request would exceed your rate limit.")
    return Answer(status=429, body=body, headers=named)


def _refuse(status: int, kind: str, text: str, code: str | None = None) -> Answer:
    return Answer(status=status, body=error(kind, text, code))


def _message(text: str = "", end: str = "whole", **changes: Any) -> Answer:
    body = message(text, **changes)
    return Answer(status=200, body=body, end=end, is_message=end == "whole")


FAULTS: Mapping[str, Callable[[str], Answer]] = {
    "429": lambda _: _busy(retry_after="0.05"),
    "429-bare": lambda _: _busy(),
    "429-limits": lambda _: _busy(retry_after="0.05", **_limit_headers()),
    "429-long": lambda _: _busy(retry_after="3600"),
    "529": lambda _: _refuse(529, "overloaded_error", "Overloaded"),
    "500": lambda _: _refuse(500, "api_error", "Internal server error"),
    "html": lambda _: Answer(status=200, body=b"<html><body>Please log in</body></html>"),
    "empty": lambda _: Answer(status=200, body=b"{}"),
    "cut": lambda text: _message(text, "cut"),
    "hang": lambda text: _message(text, "hang"),
    "trickle": lambda text: _message(text, "trickle"),
    "refusal": lambda _: _message(content=[], stop_reason="refusal"),
    "max_tokens": lambda text: _message(text[:40], stop_reason="max_tokens"),
    "thinking": lambda _: _message(content=[{"type": "thinking", "thinking": "Hm."}]),
    "401": lambda _: _refuse(401, "authentication_error", "invalid bearer token"),
    "401-echo": lambda _: _refuse(401, f"bad_{KEY}", f"invalid bearer token {KEY}"),
    "500-echo": lambda _: _refuse(500, "api_error", f"Bearer {KEY} broke it"),
    "403": lambda _: _refuse(403, "permission_error", "not allowed"),
    "spend": lambda _: _refuse(
        429, "rate_limit_error", "spend limit reached", "enforced_spend_limit_reached"
    ),
    "temperature": lambda _: _refuse(
        400, "invalid_request_error", "`temperature` is deprecated for this model."
    ),
    "echo": lambda text: _message(f"{text} Bearer {KEY}"),
    "400": lambda _: _refuse(400, "invalid_request_error", "messages: odd roles"),
}
"""Faults by name, each made of the text that would be the answer."""


def name_call(body: Mapping[str, Any]) -> str:
    """Name what a request asks: its last message, and the number of messages."""
    messages = body["messages"]
    return f"{messages[-1]['content']} #{len(messages)}"


def draw(call: str, attempt: int) -> float:
    """Draw a number from 0 to 1 that is always the same for an attempt of a call."""
    digest = hashlib.sha256(f"{call}:{attempt}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


@dataclass(kw_only=True)
class Service:
    """How it answers, and what it counted.

    `faults` gives the share of attempts that meet each fault; with `only_first`, no call meets one
    on a later attempt. More than `capacity` requests at once get a 429.
    """

    delay_s: float = 0.0
    faults: Mapping[str, float] = field(default_factory=dict)
    only_first: bool = False
    capacity: float = float("inf")
    filler: str = FILLER
    requests: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bodies: list[Any] | None = None
    in_flight: int = 0
    most_in_flight: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    url: str = ""
    came: threading.Condition = field(default_factory=threading.Condition)
    connections: set[asyncio.Transport] = field(default_factory=set)

    def counts(self) -> dict[str, Any]:
        """Say what was counted."""
        return {
            "requests": self.requests,
            "asked": dict(self.asked),
            "answered": dict(self.answered),
            "kinds": dict(self.kinds),
            "most_in_flight": self.most_in_flight,
            "first_at": self.first_at,
            "last_at": self.last_at,
        }

    def wait_for(self, requests: int) -> None:
        """Wait until so many requests came."""
        with self.came:
            assert self.came.wait_for(lambda: self.requests >= requests, timeout=60)

    def begin(self, body: Mapping[str, Any]) -> tuple[str, Answer]:
        """Count a request and settle how it is answered."""
        self.first_at = self.first_at or time.time()
        call = name_call(body)
        if self.bodies is not None:
            self.bodies.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        kind = self._choose(call, self.asked[call])
        self.asked[call] += 1
        with self.came:
            self.requests += 1
            self.came.notify_all()
        self.kinds[kind] += 1
        text = f"It is {call}. {self.filler}"
        return call, FAULTS[kind](text) if kind != "answer" else _message(text)

    def end(self, call: str, answer: Answer) -> None:
        """Count how a request ended."""
        self.in_flight -= 1
        self.last_at = time.time()
        if answer.is_message:
            self.answered[call] += 1

    def _choose(self, call: str, attempt: int) -> str:
        if self.in_flight > self.capacity:
            return "429-bare"
        place = draw(call, attempt)
        if not (self.only_first and attempt):
            for kind, share in self.faults.items():
                place -= share
                if place < 0:
                    return kind
        return "answer"


class Connection(asyncio.Protocol):
    """One connection of a client: requests one after the other, each answered in its time."""

    transport: asyncio.Transport

    def __init__(self, service: Service) -> None:
        self._service = service
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._open: tuple[str, Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._service.connections.add(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count a request that nobody waits for any more."""
        self._service.connections.discard(self.transport)
        if self._open is not None:
            self._open = None
            self._service.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        """Take what comes in; a whole request is answered."""
        self._buffer += data
        head, blank, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        size = _content_length(head)
        if not blank or len(rest) < size:
            return
        del self._buffer[: len(head) + 4 + size]
        if head.startswith(b"GET /counts"):
            body = json.dumps(self._service.counts()).encode()
            self._write(Answer(status=200, body=body))
            return
        self._open = self._service.begin(json.loads(rest[:size]))
        if self._service.delay_s:
            self._loop.call_later(self._service.delay_s, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        if self._open is None:
            return
        call, answer = self._open
        if answer.end == "hang":
            return
        if answer.end == "trickle":
            self._trickle(_render(answer))
            return
        self._open = None
        self._service.end(call, answer)
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        content = _render(answer)
        if answer.end == "cut":
            self.transport.write(content[: len(content) - len(answer.body) // 2])
            self.transport.close()
        else:
            self.transport.write(content)

    def _trickle(self, content: bytes) -> None:
        """Send a byte now and then, never all."""
        if not self.transport.is_closing():
            self.transport.write(content[:1])
            self._loop.call_later(0.05, self._trickle, content[1:])


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _render(answer: Answer) -> bytes:
    headers = {
        "content-type": "text/html" if answer.body.startswith(b"<") else "application/json",
        "request-id": "req_01",
        **answer.headers,
        "content-length": str(len(answer.body)),
    }
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body


async def _listen(service: Service) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=1024)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return server


async def _drop_connections(service: Service) -> None:
    for transport in service.connections:
        transport.abort()
    await asyncio.sleep(0)


@contextmanager
def serve(**settings: Any) -> Iterator[Service]:
    """Serve from a thread until the end of the block."""
    service = Service(**settings)
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    def work() -> None:
        server = loop.run_until_complete(_listen(service))
        ready.set()
        loop.run_forever()
        server.close()
        loop.run_until_complete(_drop_connections(service))
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@contextmanager
def serve_apart(*words: str) -> Iterator[str]:
    """Serve from a process of its own until the end of the block; give its URL."""
    command = [sys.executable, str(Path(__file__)), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def fetch_counts(url: str) -> dict[str, Any]:
    """Ask a process what it counted."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/counts") as answer:
        counts: dict[str, Any] = json.load(answer)
    return counts


async def _serve_until_end_of_input(service: Service) -> None:
    server = await _listen(service)
    print(service.url, flush=True)  # noqa: T201 -- how its starter learns where it is
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()
    server.close()


def main() -> None:
    """Serve as a process of its own."""
    parser = argparse.ArgumentParser(description="Play the Messages API on the loopback.")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--faults", type=json.loads, default={})
    parser.add_argument("--filler", default=FILLER)
    options = parser.parse_args()
    service = Service(delay_s=options.delay, faults=options.faults, filler=options.filler)
    asyncio.run(_serve_until_end_of_input(service))


if __name__ == "__main__":
    main()
