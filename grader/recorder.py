"""A Messages API on a loopback port, in the grader's process: it answers and keeps all calls."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, BinaryIO

from grader.artifacts import parse_object
from grader.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.experiments import Case, Dialogue

BODY_LIMIT = 256 << 10
KEPT_LIMIT = 4 << 20
CALLS_LIMIT = 1_000
CONNECTIONS_LIMIT = 200
LINE_LIMIT = 8 << 10
IDLE_SECONDS = 15
HOLD_SECONDS = 0.12
LAG_SECONDS = 0.01
PATH = "/v1/messages"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call as it was sent; `body` is None where it was no JSON object."""

    path: str
    keys: tuple[str, ...]
    body: Mapping[str, Any] | None


class Recorder(ThreadingHTTPServer):
    """Answer the dialogues of a case; use it as a context manager.

    Whoever calls may be out to exhaust the grader: what is kept of all calls is bounded, and so
    are the connections at one time; an experiment has a hundred dialogues at most.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, case: Case) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.case = case
        self._calls: list[Call] = []
        self._requests = 0
        self._room = KEPT_LIMIT
        self._connections = threading.Semaphore(CONNECTIONS_LIMIT)
        self._recording = threading.Lock()
        self._overtaken = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Recorder:  # noqa: PYI034 -- this very class
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def port(self) -> int:
        """Tell where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Tell its address."""
        return f"http://127.0.0.1:{self.port}"

    def calls(self) -> list[Call]:
        """List the calls so far."""
        with self._recording:
            return list(self._calls)

    @property
    def requests(self) -> int:
        """Count what was sent so far, calls or not."""
        with self._recording:
            return self._requests

    def count_request(self) -> None:
        """Count a request of any kind."""
        with self._recording:
            self._requests += 1

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- theirs
        """Serve a connection, unless there are too many."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def overtake(self, number: int, *, answered: bool) -> None:
        """Hold the first call back until a later one is answered, if there are several at once.

        So a program that takes answers in the order in which they come gets them out of order.
        """
        if number and answered:
            self._overtaken.set()
        elif not number and not answered and self._overtaken.wait(HOLD_SECONDS):
            time.sleep(LAG_SECONDS)

    def keep(self, call: Call, size: int) -> int:
        """Keep a call of so many bytes, if there is room, and give its number."""
        with self._recording:
            self._room -= size
            if self._room < 0:
                call = Call(path="", keys=(), body=None)
            if len(self._calls) < CALLS_LIMIT:
                self._calls.append(call)
            return len(self._calls) - 1

    def answer(self, call: Call) -> tuple[int, dict[str, Any]]:
        """Give status and body of the answer to a call."""
        if self._room < 0:
            return 413, _error("request_too_large", "too large")
        if call.path.partition("?")[0] != PATH:
            return 404, _error("not_found_error", "no such path")
        dialogue = find_dialogue(self.case, call.body or {})
        if dialogue is None:
            return 400, _error("invalid_request_error", "messages: unknown content")
        return 200, self._reply(dialogue)

    def _reply(self, dialogue: Dialogue) -> dict[str, Any]:
        answer = dialogue.answer
        tokens = answer.usage or (11, 12)
        return {
            "id": "msg_" + secrets.token_hex(12),
            "type": "message",
            "role": "assistant",
            "model": answer.model or self.case.model,
            "content": [{"type": "text", "text": answer.text}],
            "stop_reason": answer.stop_reason or "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
        }

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about callers that hang up."""


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def text_of(content: object) -> str | None:
    """Read a text, or a list of text blocks, as one text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = []
    for block in content:
        text = block.get("text") if isinstance(block, dict) else None
        if not isinstance(text, str) or block.get("type") != "text":
            return None
        parts.append(text)
    return "".join(parts)


def texts_of_messages(body: Mapping[str, Any]) -> list[tuple[object, str | None]]:
    """List role and text of each message."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return []
    return [
        (item.get("role"), text_of(item.get("content"))) if isinstance(item, dict) else (None, None)
        for item in messages
    ]


def user_text(body: Mapping[str, Any]) -> str | None:
    """Give the text of the last message."""
    messages = texts_of_messages(body)
    return messages[-1][1] if messages else None


def find_dialogue(case: Case, body: Mapping[str, Any]) -> Dialogue | None:
    """Find the dialogue that a call is about: by its question, of two the one with its system."""
    user, system = user_text(body), text_of(body.get("system"))
    asking = [dialogue for dialogue in case.dialogues if dialogue.user == user]
    fitting = [dialogue for dialogue in asking if dialogue.system == system]
    return next(iter([*fitting, *asking]), None)


class _ShortLines:
    """A caller's bytes; no line of them is read further than a header may go."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.close = file.close

    def readline(self, size: int = LINE_LIMIT) -> bytes:
        """Read the rest of a line, or a part of it."""
        return self._file.readline(min(size, LINE_LIMIT))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: Recorder

    def setup(self) -> None:
        super().setup()
        self.rfile: Any = _ShortLines(self.rfile)

    def parse_request(self) -> bool:
        self.server.count_request()
        return super().parse_request()

    def do_POST(self) -> None:
        data = self._body()
        try:
            body = parse_object((data or b"").decode("utf-8"), "body")
        except (ArtifactError, UnicodeDecodeError):
            body = None
        path = self.requestline.split(" ")[1]  # self.path has lost a doubled slash
        call = Call(path=path, keys=tuple(self._keys()), body=body)
        size = KEPT_LIMIT if data is None else len(data)
        size += len(call.path) + sum(map(len, call.keys))
        self.close_connection |= data is None
        number = self.server.keep(call, size)
        self.server.overtake(number, answered=False)
        self._answer(*self.server.answer(call))
        self.server.overtake(number, answered=True)

    def do_GET(self) -> None:
        self._answer(404, _error("not_found_error", "no such path"))

    def _keys(self) -> list[str]:
        """List each key that was sent, by either header."""
        keys = list(self.headers.get_all("x-api-key", []))
        for value in self.headers.get_all("authorization", []):
            scheme, _, token = value.partition(" ")
            keys.append(token.strip() if scheme.lower() == "bearer" else f"not a bearer: {value}")
        return keys

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return self._chunks()
        try:
            length = int(self.headers.get("content-length", "0"))
        except ValueError:
            return None
        return self.rfile.read(length) if 0 <= length <= BODY_LIMIT else None

    def _chunks(self) -> bytes | None:
        data = bytearray()
        while len(data) <= BODY_LIMIT:
            try:
                length = int(self.rfile.readline(64).partition(b";")[0], 16)
            except ValueError:
                return None
            if not 0 <= length <= BODY_LIMIT:
                return None
            data += self.rfile.read(length)
            self.rfile.readline(64)
            if not length:
                return bytes(data)
        return None

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", "req_" + secrets.token_hex(12))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Write no access log."""
