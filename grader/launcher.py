"""Run commands in confinement: orders come in on standard input, reports go out on standard output.

One process a grade, started without privileges and with the interpreter of the box. It is a script
on its own: it sees the standard library and, for the strongest backend, `sandlock`.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Protocol

from kernel import forbid_calls, remove_system_v  # type: ignore[import-not-found]  # beside this

Order = dict[str, Any]
CAPTURE_LIMIT = 1 << 20
MEBIBYTE = 1 << 20
FIRST_PRIVATE_FD = 100
PR_SET_CHILD_SUBREAPER = 36
UNBOUNDED = ["memfd_create", "memfd_secret", "fallocate"]
"""Calls that take memory or disk past the limit of a file, and that no program needs."""


class Outcome:
    """How a command ended: `reason` is exit, signal, timeout or killed."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class Running(Protocol):
    """A command on its way."""

    pid: int

    def wait(self, timeout: float) -> Outcome:
        """Wait for its end, and kill what is left of it."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


class Backend(Protocol):
    """A way to confine a command."""

    name: str

    def describe(self) -> dict[str, Any]:
        """Name version and kernel support."""
        ...

    def start(self, order: Order, stdout: int, stderr: int) -> Running:
        """Start a command with its output going to two open files."""
        ...


class SandlockRun:
    """A command under Landlock and seccomp."""

    def __init__(self, process: Any) -> None:  # noqa: ANN401 -- sandlock is not there for mypy
        self._process = process
        self.pid: int = process.pid or -1

    def wait(self, timeout: float) -> Outcome:
        """Wait for its end."""
        result = self._process.wait(timeout=timeout)
        reason = {0: "exit", 1: "signal", 2: "killed", 3: "timeout"}.get(result.reason, "killed")
        return Outcome(result.exit_code, reason)

    def kill(self) -> None:
        """End it now."""
        self._process.kill()


class Sandlock:
    """Confine with the package `sandlock`."""

    name = "sandlock"

    def __init__(self) -> None:
        import sandlock  # type: ignore[import-untyped]  # noqa: PLC0415 -- only for this backend

        forbid_calls()
        self._sandlock: Any = sandlock

    def describe(self) -> dict[str, Any]:
        """Name version and kernel support."""
        return {
            "version": str(self._sandlock.__version__),
            "landlock_abi": int(self._sandlock.landlock_abi_version()),
        }

    def start(self, order: Order, stdout: int, stderr: int) -> Running:
        """Start a command with its output going to two open files."""
        port = order["port"]
        box = self._sandlock.Sandbox(
            name=order["host"],
            fs_readable=order["readable"],
            fs_writable=[*order["writable"], "/dev/null"],
            fs_denied=order["denied"],
            net_allow=[f"tcp://127.0.0.1:{port}"] if port else [],
            max_memory=order["memory"],
            max_processes=order["processes"],
            max_open_files=order["open_files"],
            extra_deny_syscalls=UNBOUNDED,
            clean_env=True,
            env=order["env"],
            cwd=order["cwd"],
            no_coredump=False,
        )
        mode = self._sandlock.StdioMode
        with _standard_files(stdout, stderr):
            process = box.popen(
                order["argv"], stdin=mode.NULL, stdout=mode.INHERIT, stderr=mode.INHERIT
            )
        return SandlockRun(process)


class PlainRun:
    """A command in a session of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def wait(self, timeout: float) -> Outcome:
        """Wait for its end."""
        try:
            code = self._process.wait(timeout)
            outcome = Outcome(code, "exit" if code >= 0 else "signal")
        except subprocess.TimeoutExpired:
            outcome = Outcome(-1, "timeout")
        self.kill()
        self._process.wait()
        return outcome

    def kill(self) -> None:
        """End it now, with its whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


class Limits:
    """Confine by limits alone, where the machine offers nothing else."""

    name = "limits"

    def describe(self) -> dict[str, Any]:
        """Name version and kernel support."""
        return {"version": "", "landlock_abi": 0}

    def command(self, order: Order) -> list[str]:
        """Give the command line that starts an order."""
        return list(order["argv"])

    def start(self, order: Order, stdout: int, stderr: int) -> Running:
        """Start a command with its output going to two open files."""
        process = subprocess.Popen(  # noqa: S603 -- running it is the task
            self.command(order),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=order["env"],
            cwd=order["cwd"],
            start_new_session=True,
        )
        return PlainRun(process)


class Bubblewrap(Limits):
    """Confine with namespaces, through the program `bwrap`."""

    name = "bwrap"

    def __init__(self, program: str) -> None:
        forbid_calls()
        self._program = program

    def describe(self) -> dict[str, Any]:
        """Name version and kernel support."""
        answer = subprocess.run(  # noqa: S603 -- the staged program
            [self._program, "--version"], capture_output=True, text=True, check=True
        )
        return {"version": answer.stdout.split()[-1], "landlock_abi": 0}

    def command(self, order: Order) -> list[str]:
        """Give the command line that starts an order."""
        command = [self._program, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
        command += ["--share-net"] if order["port"] else []
        command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 -- the box's own
        for path in order["readable"]:
            if not path.startswith(("/proc", "/dev")):
                command += ["--ro-bind-try", path, path]
        for path in order["denied"]:
            command += ["--tmpfs", path] if os.path.isdir(path) else []  # noqa: PTH112 -- no pathlib: start-up
        for path in order["writable"]:
            command += ["--tmpfs", path] if path == "/dev/shm" else ["--bind", path, path]  # noqa: S108
        return [*command, "--chdir", order["cwd"], "--", *order["argv"]]


@contextlib.contextmanager
def _standard_files(stdout: int, stderr: int) -> Any:  # noqa: ANN401 -- a generator
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    try:
        yield
    finally:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)


def choose_backend(name: str, bwrap: str) -> Backend:
    """Give the backend of that name."""
    if name == "sandlock":
        return Sandlock()
    return Bubblewrap(bwrap) if name == "bwrap" else Limits()


def _capture_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import tempfile  # noqa: PLC0415 -- only where memory files are missing

    fd, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108 -- no pathlib: start-up
    return fd


def _captured(fd: int) -> tuple[str, int]:
    size = os.fstat(fd).st_size
    return base64.b64encode(os.pread(fd, CAPTURE_LIMIT, 0)).decode(), size


class Desk:
    """Carry out orders, each in a thread of its own."""

    def __init__(self, backend: Backend, reports: int) -> None:
        self._backend = backend
        self._reports = reports
        self._reporting = threading.Lock()
        self._running: dict[str, Running] = {}
        self._starting = threading.Lock()

    def report(self, message: dict[str, Any]) -> None:
        """Send a line."""
        line = json.dumps(message).encode() + b"\n"
        with self._reporting:
            view = memoryview(line)
            while view:
                view = view[os.write(self._reports, view) :]

    def accept(self, order: Order) -> None:
        """Start or kill a command."""
        if order["do"] == "kill":
            running = self._running.get(order["id"])
            if running:
                running.kill()
            return
        threading.Thread(target=self._carry_out, args=(order,), daemon=True).start()

    def _carry_out(self, order: Order) -> None:
        began = time.monotonic()
        stdout, stderr = _capture_file("out"), _capture_file("err")
        try:
            with self._starting:
                running = self._backend.start(order, stdout, stderr)
                self._running[order["id"]] = running
            outcome = running.wait(order["timeout"])
            strays = self._end(order["id"])
            (out, out_size), (err, err_size) = _captured(stdout), _captured(stderr)
            report = {
                "id": order["id"],
                "code": outcome.code,
                "reason": outcome.reason,
                "stdout": out,
                "stderr": err,
                "written": out_size + err_size,
                "seconds": time.monotonic() - began,
                "strays": strays,
            }
        except Exception as error:  # noqa: BLE001 -- any failure here is the grader's
            report = {"id": order["id"], "broken": f"{type(error).__name__}: {error}"}
        finally:
            os.close(stdout)
            os.close(stderr)
        self.report(report)

    def close(self) -> None:
        """Kill every command: whoever gave the orders is gone."""
        for running in list(self._running.values()):
            running.kill()
        if os.path.exists("/proc/self/task"):  # noqa: PTH110 -- no pathlib: start-up
            while _kill_orphans(set()):
                pass

    def _end(self, name: str) -> int:
        """Forget a command and kill what outlived it: orphans are handed to this process."""
        with self._starting:
            del self._running[name]
            if not os.path.exists("/proc/self/task"):  # noqa: PTH110 -- no pathlib: start-up
                return 0
            total = 0
            while killed := _kill_orphans({running.pid for running in self._running.values()}):
                total += killed
            return total


def _kill_orphans(spared: set[int]) -> int:
    """Kill the children that no command in progress leads; return how many there were."""
    killed = 0
    for pid in _children() - spared:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it ended by itself
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            killed += 1
    return killed


def _children() -> set[int]:
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 -- no pathlib: start-up
        with (
            contextlib.suppress(FileNotFoundError),  # a thread that just ended
            open(f"/proc/self/task/{task}/children", "rb") as file,  # noqa: PTH123
        ):
            found.update(int(word) for word in file.read().split())
    return found


def _private(fd: int) -> int:
    import fcntl  # noqa: PLC0415 -- beside its only use

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_PRIVATE_FD)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, fd)
    os.close(null)
    return moved


def _limit(settings: dict[str, Any]) -> None:
    """Limit this process and all that it starts; `sandlock` counts memory and processes itself."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: settings["file_bytes"],
        resource.RLIMIT_CPU: settings["cpu_seconds"],
    }
    if settings["backend"] != "sandlock":
        limits[resource.RLIMIT_DATA] = settings["memory"]
        limits[resource.RLIMIT_NOFILE] = settings["open_files"]
    if settings["own_user"]:
        limits[resource.RLIMIT_NPROC] = settings["user_processes"]
    for limit, value in limits.items():
        most = resource.getrlimit(limit)[1]
        lower = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (lower, lower))


def main(settings: dict[str, Any]) -> None:
    """Serve orders until standard input ends."""
    orders, reports = _private(0), _private(1)
    _limit(settings)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if settings["own_user"]:
        remove_system_v()
    backend = choose_backend(settings["backend"], settings["bwrap"])
    desk = Desk(backend, reports)
    desk.report({"id": "", "backend": backend.name, "uid": os.getuid(), **backend.describe()})
    with os.fdopen(orders, encoding="utf-8") as lines:
        for line in lines:
            desk.accept(json.loads(line))
    desk.close()
    if settings["own_user"]:
        remove_system_v()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    os._exit(0)  # taking the interpreter down costs as much as starting it
