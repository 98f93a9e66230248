"""A server on the loopback that plays POST /v1/messages: scripted answers and faults."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "sk-ant-loopback-0123456789"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server sends back once.

    `cut` closes the connection half-way through, `dropped` before the first byte.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    dropped: bool = False


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request as it came in; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(kw_only=True)
class Server:
    """Where it listens, what came in, what goes out; the last answer is given again and again."""

    url: str
    script: list[Answer]
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, received: Received) -> Answer:
        with self.lock:
            self.received.append(received)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def say(text: str | None = "From clouds.", **changes: Any) -> Answer:
    """Make a message of the API; with `blocks` of that content, else of that text."""
    blocks = changes.pop("blocks", None)
    headers = changes.pop("headers", {})
    body = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": text}] if blocks is None else blocks,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 7},
    }
    content = json.dumps(body | changes).encode()
    return Answer(body=content, headers={"request-id": "req_01", **headers})


def fail(
    status: int, kind: str, message: str, *, code: str | None = None, **headers: str
) -> Answer:
    """Make an error of the API; `_` in a header's name stands for `-`."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    body = json.dumps({"type": "error", "error": error, "request_id": "req_02"}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(body=body, status=status, headers={"request-id": "req_02", **named})


@contextmanager
def serve(*script: Answer) -> Iterator[Server]:
    """Serve a script until the end of the block."""
    server = Server(url="", script=list(script))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", "0"))
            answer = server.take(
                Received(
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=json.loads(self.rfile.read(size)),
                )
            )
            if answer.dropped:
                self.close_connection = True
                return
            self.send_response(answer.status)
            named = {"content-type": "application/json", **answer.headers}
            for name, value in named.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)
            self.close_connection = answer.cut

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
