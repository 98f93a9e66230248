"""The parent's side of the box: start the launcher, give it commands, take its reports."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import queue
import secrets
import signal
import stat
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from grader.errors import GraderError
from grader.places import cache_folder, remove_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.interpreter import Interpreter
    from grader.kit import Kit

Backend: TypeAlias = Literal["sandlock", "bwrap", "limits"]
Reason: TypeAlias = Literal["exit", "signal", "timeout", "killed", "flood", "over"]
FIRST_UID, UIDS = 61_300, 3_500
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- multiprocessing needs it
FILE_BYTES = 16 << 20
FOLDER_BYTES = 64 << 20
ENTRIES = 20_000
CPU_SECONDS = 30
COMMAND_SECONDS = 10.0
GRADE_SECONDS = 17.5
MEMORY_BYTES = 3 << 30
PROCESSES = 64
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


class BoxUser:
    """The user that the box runs as: for root a fresh one each grade, else the grader's own."""

    def __init__(self) -> None:
        self._lock: tuple[int, Path] | None = None
        self.dropped = os.getuid() == 0
        self.uid = self._take() if self.dropped else os.getuid()
        self.options: dict[str, Any] = (
            {"user": self.uid, "group": self.uid, "extra_groups": []} if self.dropped else {}
        )

    def _take(self) -> int:
        """Reserve a number that no other grade on this machine has now."""
        folder = cache_folder()
        for _ in range(100):
            uid = FIRST_UID + secrets.randbelow(UIDS)
            if folder is None or self._reserve(folder / f"uid-{uid}"):
                return uid
        raise GraderError("too many grades at once on this machine")

    def _reserve(self, path: Path) -> bool:
        """Lock a file that is still in its place once it is locked."""
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino == path.stat().st_ino:
                self._lock = lock, path
                return True
        except OSError:
            pass
        os.close(lock)
        return False

    def give(self, folder: Path) -> Path:
        """Make a folder that the box may write in."""
        folder.mkdir(mode=0o700, parents=True)
        if self.dropped:
            os.chown(folder, self.uid, self.uid)
        return folder

    def release(self) -> None:
        """Kill what still runs under a number of its own, remove what it left, free the number."""
        if self.dropped:
            while _kill_all_of(self.uid):
                time.sleep(0.005)
            _remove_shared_memory(self.uid)
        if self._lock is not None:
            lock, path = self._lock
            path.unlink(missing_ok=True)
            os.close(lock)
            self._lock = None


def _kill_all_of(uid: int) -> int:
    killed = 0
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                os.kill(int(entry.name), signal.SIGKILL)
                killed += _is_alive(entry)
    return killed


def _is_alive(process: Path) -> bool:
    with contextlib.suppress(OSError):
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


def _remove_shared_memory(uid: int) -> None:
    for entry in SHARED_MEMORY.iterdir() if SHARED_MEMORY.is_dir() else ():
        with contextlib.suppress(OSError):
            if entry.lstat().st_uid == uid:
                remove_tree(entry) if stat.S_ISDIR(entry.lstat().st_mode) else entry.unlink()


class Box:
    """A launcher with its backend; commands may run at the same time."""

    def __init__(
        self, *, kit: Kit, interpreter: Interpreter, user: BoxUser, backend: Backend, home: Path
    ) -> None:
        self._kit = kit
        self._interpreter = interpreter
        self._user = user
        self._waiting: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self._sending = threading.Lock()
        self._deadline = time.monotonic() + GRADE_SECONDS
        self.spoilt: str | None = None
        self.kills = 0
        self._process = self._launch(backend, home)
        self._hello = self._waiting[""] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read_reports, daemon=True)
        self._reader.start()
        self.backend = self._await("", START_SECONDS)

    def _launch(self, backend: Backend, home: Path) -> subprocess.Popen[bytes]:
        settings = {
            "backend": backend,
            "bwrap": str(self._kit.bwrap),
            "file_bytes": FILE_BYTES,
            "cpu_seconds": CPU_SECONDS,
            "own_user": self._user.dropped,
        }
        python = [str(self._interpreter.path), "-I", "-S", "-B"]
        start = [str(self._kit.start / "start.py"), str(self._kit.confinement), "", "launcher"]
        return subprocess.Popen(  # noqa: S603 -- the staged launcher
            [*python, *start, json.dumps(settings)],
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
        seconds = min(COMMAND_SECONDS, self._deadline - time.monotonic())
        if self.spoilt is not None or seconds <= 0:
            return Ending(code=-1, reason="over")
        self._waiting[command.name] = queue.SimpleQueue()
        self._send(self._order(command, seconds))
        watch = Watch(command.writable, self._user.uid if self._user.dropped else None)
        report = self._watch(command.name, watch, seconds)
        return self._judge(command.name, report, flooded=watch.flooded)

    def forgive(self, seconds: float) -> None:
        """Let commands start again after one that had spoilt the grade, so much later."""
        self.spoilt = None
        self._deadline += seconds

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


class Watch:
    """Look how much a command has written."""

    def __init__(self, folders: Sequence[Path], uid: int | None) -> None:
        self._folders = folders
        self._uid = uid
        self.flooded = False

    def look(self) -> None:
        """Add up files and their sizes."""
        budget = [FOLDER_BYTES, ENTRIES]
        for folder in self._folders:
            _spend(folder, budget, None)
        if self._uid is not None:
            _spend(SHARED_MEMORY, budget, self._uid)
        self.flooded = min(budget) < 0


def _spend(folder: Path, budget: list[int], uid: int | None) -> None:
    """Take what lies in a folder off the budget of bytes and entries, until that is used up."""
    folders = [os.fspath(folder)]
    while folders and min(budget) >= 0:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if uid is not None and status.st_uid != uid:
                    continue
                budget[1] -= 1
                budget[0] -= status.st_blocks * 512
                if stat.S_ISDIR(status.st_mode):
                    folders.append(entry.path)
                if min(budget) < 0:
                    return
