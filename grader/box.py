"""The parent's side of the box: start the launcher, give it commands, take its reports."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from grader.errors import GraderError
from grader.watch import SHARED_BYTES, SHARED_MEMORY, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from grader.interpreter import Interpreter
    from grader.kit import Kit
    from grader.user import BoxUser

Backend: TypeAlias = Literal["sandlock", "bwrap", "limits"]
Reason: TypeAlias = Literal["exit", "signal", "timeout", "killed", "flood", "over"]
FILE_BYTES = 16 << 20
CPU_SECONDS = 30
COMMAND_SECONDS = 10.5  # the prompt promises 10, and starting takes its time
GRADE_SECONDS = 17.5
MEMORY_BYTES = 3 << 30
PROCESSES = 64
USER_PROCESSES = 512
OPEN_FILES = 256  # each may hold a socket, whose memory nothing else bounds
WATCH_SECONDS = 0.1
START_SECONDS = 30.0
CLOSE_SECONDS = 1.0
PATIENCE_SECONDS = 40.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One start of the submission: arguments, folders it may write, and the port it may reach."""

    name: str
    arguments: tuple[str, ...]
    cwd: Path
    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    environment: Mapping[str, str]
    port: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a command ended; `over`: it was never started, for another one had spoilt the grade."""

    code: int
    reason: Reason
    stdout: bytes = b""
    stderr: bytes = b""
    strays: int = 0

    @property
    def clean(self) -> bool:
        """Tell whether it ended by itself with exit code 0."""
        return self.reason == "exit" and self.code == 0


class Box:
    """A launcher with its backend; commands may run at the same time."""

    def __init__(  # noqa: PLR0913 -- a box has these parts
        self,
        *,
        kit: Kit,
        interpreter: Interpreter,
        user: BoxUser,
        backend: Backend,
        home: Path,
        private: Path | None = None,
    ) -> None:
        self._kit = kit
        self._interpreter = interpreter
        self._user = user
        self._waiting: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self._sending = threading.Lock()
        self._leeway = 0.0
        self._deadline = time.monotonic() + GRADE_SECONDS
        self.spoilt: str | None = None
        self.kills = 0
        self._process = self._launch(backend, home, self._view(private) if private else [])
        self._hello = self._waiting[""] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read_reports, daemon=True)
        self._reader.start()
        try:
            self.backend = self._await("", START_SECONDS)
        except GraderError:
            self.close()
            raise

    def _view(self, folder: Path) -> list[str]:
        """Give what starts a program where all but a folder is read-only, /dev/shm its own."""
        view = [str(self._kit.bwrap), "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev"]
        view += ["--size", str(SHARED_BYTES), "--tmpfs", str(SHARED_MEMORY), "--unshare-ipc"]
        return [*view, "--bind", str(folder), str(folder), "--"]

    def _launch(
        self, backend: Backend, home: Path, before: Sequence[str]
    ) -> subprocess.Popen[bytes]:
        settings = {
            "backend": backend,
            "bwrap": str(self._kit.bwrap),
            "file_bytes": FILE_BYTES,
            "cpu_seconds": CPU_SECONDS,
            "memory": MEMORY_BYTES,
            "open_files": OPEN_FILES,
            "user_processes": USER_PROCESSES,
            "own_user": self._user.dropped,
        }
        python = [str(self._interpreter.path), "-I", "-S", "-B"]
        start = self._kit.start_arguments([self._kit.confinement], "launcher")
        return subprocess.Popen(  # noqa: S603 -- the staged launcher
            [*before, *python, *start, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "USER": "user", "LANG": "C.UTF-8"},
            start_new_session=True,
            **self._user.options,
        )

    def _read_reports(self) -> None:
        reports: IO[bytes] | None = self._process.stdout
        for line in reports or ():
            message = json.loads(line)
            self._waiting[message["id"]].put(message)
        for waiting in list(self._waiting.values()):
            waiting.put({"broken": "the launcher ended"})

    def _await(self, name: str, seconds: float) -> dict[str, Any]:
        try:
            message = self._waiting[name].get(timeout=seconds)
        except queue.Empty as error:
            raise GraderError("the launcher doesn't answer") from error
        if "broken" in message:
            raise GraderError(f"the box can't be used: {message['broken']}{self._complaint()}")
        return message

    def _complaint(self) -> str:
        """Quote the last line that the launcher wrote before it ended."""
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            return ""
        lines = (
            self._process.stderr.read().decode(errors="replace").split("\n")
            if self._process.stderr
            else []
        )
        return f" ({[line for line in lines if line][-1]})" if any(lines) else ""

    def _send(self, order: dict[str, Any]) -> None:
        data = json.dumps(order).encode() + b"\n"
        with self._sending:
            try:
                if self._process.stdin:
                    self._process.stdin.write(data)
                    self._process.stdin.flush()
            except OSError as error:
                raise GraderError(f"the launcher ended{self._complaint()}") from error

    def run(self, command: Command) -> Ending:
        """Run a command to its end, unless the grade is spoilt already."""
        seconds = min(COMMAND_SECONDS + self._leeway, self._deadline - time.monotonic())
        if self.spoilt is not None or seconds <= 0:
            return Ending(code=-1, reason="over")
        self._waiting[command.name] = queue.SimpleQueue()
        self._send(self._order(command, seconds))
        watch = Watch(command.writable, self._user, self._process.pid)
        report = self._watch(command.name, watch, seconds)
        return self._judge(command.name, report, flooded=watch.flooded)

    @contextlib.contextmanager
    def spoilt_by_trouble(self) -> Iterator[None]:
        """End all commands soon when the grader breaks, or is told to stop."""
        try:
            yield
        except BaseException:
            self.spoilt = "stopped"
            raise

    def forgive(self, seconds: float, *, each: float = 0) -> None:
        """Let commands start again after one that had spoilt the grade, so much later.

        From now on each command may take so much longer, too.
        """
        self.spoilt = None
        self._deadline += seconds
        self._leeway += each

    def _watch(self, name: str, watch: Watch, seconds: float) -> dict[str, Any]:
        """Wait for the report; kill a command that fills the disk, or whose grade is spoilt."""
        limit = time.monotonic() + seconds + PATIENCE_SECONDS
        while time.monotonic() < limit:
            with contextlib.suppress(queue.Empty):
                message = self._waiting[name].get(timeout=WATCH_SECONDS)
                self._waiting[name].put(message)
                watch.look()
                return self._await(name, 0)
            watch.look()
            if watch.flooded or self.spoilt is not None:
                self.kills += 1
                self._send({"do": "kill", "id": name})
        raise GraderError("a command didn't end when it was killed")

    def _judge(self, name: str, report: dict[str, Any], *, flooded: bool) -> Ending:
        reason: Reason = "flood" if flooded else report["reason"]
        if reason in {"timeout", "flood"} and self.spoilt is None:
            self.spoilt = f"{name}: {reason}"
        return Ending(
            code=report["code"],
            reason=reason,
            stdout=base64.b64decode(report["stdout"]),
            stderr=base64.b64decode(report["stderr"]),
            strays=report["strays"],
        )

    def _order(self, command: Command, seconds: float) -> dict[str, Any]:
        return {
            "do": "run",
            "id": command.name,
            "argv": [str(self._interpreter.path), "-I", "-S", "-B", *command.arguments],
            "env": dict(command.environment),
            "cwd": str(command.cwd),
            "readable": [*self._interpreter.readable, *map(str, command.readable)],
            "denied": self._interpreter.denied,
            "writable": [*map(str, command.writable), str(SHARED_MEMORY)],
            "port": command.port,
            "memory": MEMORY_BYTES,
            "processes": PROCESSES,
            "open_files": OPEN_FILES,
            "timeout": seconds,
            "host": "host-" + secrets.token_hex(4),
        }

    @property
    def probe_script(self) -> Path:
        """Name the script that tries what is forbidden."""
        return self._kit.start / "probe.py"

    def close(self) -> None:
        """End the launcher and all that it started."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._reader.join(CLOSE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
