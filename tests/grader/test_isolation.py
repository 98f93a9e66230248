"""The table of probes: what the box must not allow, and what it must."""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from grader import isolation
from grader.box import COMMAND_SECONDS, OPEN_FILES, Command
from grader.interpreter import find_interpreter
from grader.isolation import confine
from grader.kit import Kit, prepare_kit
from grader.places import GRADER
from grader.scratch import Scratch
from grader.user import BoxUser
from grader.watch import SHARED_MEMORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux confines")
pytest.importorskip("sandlock")


class Cell:
    """A box for one test module, and a way to run a few lines in it."""

    def __init__(self, backend):
        self.scratch = Scratch()
        self.root = self.scratch.folder
        self.user = BoxUser()
        interpreter = find_interpreter(None, self.user.uid)
        isolation.BACKENDS, saved = {backend: isolation.BACKENDS[backend]}, isolation.BACKENDS
        try:
            self.confined = confine(
                kit=prepare_kit(interpreter),
                interpreter=interpreter,
                user=self.user,
                root=self.root,
                required="limits",
            )
        finally:
            isolation.BACKENDS = saved
        self.numbers = itertools.count()

    def run(self, code, *, port=None):
        number = next(self.numbers)
        scratch = self.user.give(self.root / f"w{number}")
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(scratch), "TMPDIR": str(scratch)}
        command = Command(
            name=f"probe-{number}",
            arguments=("-c", code),
            cwd=scratch,
            readable=(),
            writable=(scratch,),
            environment=environment,
            port=port,
        )
        self.confined.box.forgive(COMMAND_SECONDS)
        return self.confined.box.run(command)

    def close(self):
        self.confined.box.close()
        self.user.release()
        self.scratch.remove()


@pytest.fixture(scope="module")
def cell():
    made = Cell("sandlock")
    yield made
    made.close()


@pytest.fixture
def listener():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_the_strongest_level_is_named(cell):
    found = cell.confined.isolation
    assert (found.level, found.backend) == ("full", "sandlock")
    assert found.landlock_abi >= 6
    assert found.uid_dropped == (os.getuid() == 0)


FORBIDDEN = {
    "read the grader": f"open({str(GRADER / 'oracle.py')!r}).read()",
    "list the grader": f"import os; os.listdir({str(GRADER)!r})",
    "list /tmp": "import os; os.listdir('/tmp')",
    "read /etc/passwd": "open('/etc/passwd').read()",
    "write outside": "open('/tmp/written', 'w')",
    "write beside the program": "open('/var/tmp/written', 'w')",
    "signal the parent": "import os; os.kill(os.getppid(), 0)",
    "signal everybody": "import os; os.kill(1, 0)",
    "read the parent's environment": "import os; open(f'/proc/{os.getppid()}/environ').read()",
    "read the parent's arguments": "import os; open(f'/proc/{os.getppid()}/cmdline').read()",
    "open the parent's memory": "import os; open(f'/proc/{os.getppid()}/mem', 'rb')",
    "send a datagram": "import socket; socket.socket(type=2).sendto(b'x', ('127.0.0.1', 9))",
    "go outside": "import socket; socket.create_connection(('1.1.1.1', 53), 1)",
    "listen": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()",
    "raw socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "link to a foreign file": "import os; os.link('/usr/bin/env', 'env')",
    "mount": "import ctypes, os; c = ctypes.CDLL(None, use_errno=True)\n"
    "if c.mount(b'x', b'/tmp', b'tmpfs', 0, 0): raise OSError(ctypes.get_errno())",
    "new user namespace": "import ctypes; c = ctypes.CDLL(None)\n"
    "if c.unshare(0x10000000): raise OSError('refused')",
    "trace the parent": "import ctypes, os; c = ctypes.CDLL(None)\n"
    "if c.ptrace(16, os.getppid(), 0, 0): raise OSError('refused')",
    "limit the launcher": "import os, resource\nresource.prlimit(os.getppid(), 7, (9, 9))",
    "slow the launcher down": "import os; os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "slow its user down": "import os; os.setpriority(os.PRIO_USER, 0, 19)",
    "pin the launcher": "import os; os.sched_setaffinity(os.getppid(), {0})",
    "idle the launcher": "import os\n"
    "os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0))",
    "file in memory": "import os; os.memfd_create('x')",
    "asynchronous calls": "import ctypes; c = ctypes.CDLL(None)\n"
    "if c.syscall(425, 8, ctypes.create_string_buffer(120)) < 0: raise OSError('refused')",
    "room beyond the limit": "import ctypes; c = ctypes.CDLL(None); f = open('x', 'wb')\n"
    "if c.fallocate(f.fileno(), 1, ctypes.c_long(0), ctypes.c_long(1 << 28)):"
    " raise OSError('refused')",
    "shared segment": "import ctypes; c = ctypes.CDLL(None)\n"
    "if c.shmget(0, 4096, 0o1600) < 0: raise OSError('refused')",
    "become root": "import os; os.setuid(0)" if os.getuid() == 0 else "raise OSError",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_box_does_not_let(cell, what):
    ending = cell.run(FORBIDDEN[what])
    assert (ending.reason, ending.code) == ("exit", 1), what
    assert b"Error" in ending.stderr


def test_the_machine_s_files_keep_their_modes(cell, tmp_path):
    if not cell.confined.isolation.private:
        pytest.skip("no user namespaces here")
    (tmp_path / "file").touch()
    path = str(tmp_path / "file")
    for change in (f"chmod({path!r}, 0o777)", f"utime({path!r}, (1, 1))"):
        assert not cell.run(f"import os; os.{change}").clean, change


def test_shared_memory_is_its_own(cell):
    if not cell.confined.isolation.private:
        pytest.skip("no user namespaces here")
    assert cell.run(f"open('{SHARED_MEMORY}/left_by_a_test', 'w').write('x')").clean
    assert not (SHARED_MEMORY / "left_by_a_test").exists()


HOGS = {
    "without a name": "import os\nkept = []\nfor n in range(99):\n"
    "    kept.append(open('x', 'wb')); os.unlink('x'); kept[-1].write(bytes(15 << 20))",
    "out of sight": "import os\nos.mkdir('d', 0o300)\nfor n in range(99):\n"
    "    open(f'd/{n}', 'wb').write(bytes(15 << 20))",
    "too deep to be named": "import os\nfor n in range(40):\n"
    "    os.mkdir('d' * 200); os.chdir('d' * 200)\n"
    "for n in range(99):\n    open(str(n), 'wb').write(bytes(15 << 20))",
    "empty": "for n in range(6_000):\n    open(str(n), 'wb').close()",
    "sockets": "import os, socket\nfor n in range(12):\n    if not os.fork(): break\n"
    "kept = [socket.socketpair() for n in range(100)]",
}


@pytest.mark.parametrize("how", HOGS)
def test_what_hoards_is_stopped(cell, how):
    code = HOGS[how] + "\nimport time; time.sleep(9)"
    assert cell.run(code).reason == "flood"


def test_other_ports_are_closed_and_its_own_is_open(cell, listener):
    connect = "import socket; socket.create_connection(('127.0.0.1', {}), 2)"
    assert not cell.run(connect.format(listener)).clean
    assert cell.run(connect.format(listener), port=listener).clean


ALLOWED = {
    "write in its folder": "import os; open(os.environ['TMPDIR'] + '/x', 'w').write('x')",
    "many threads": "import threading, time\n"
    "all = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(40)]\n"
    "[t.start() for t in all]; [t.join() for t in all]",
    "shared memory": "from multiprocessing import shared_memory as s\n"
    "m = s.SharedMemory(create=True, size=99); m.close(); m.unlink()",
    "asyncio": "import asyncio; asyncio.run(asyncio.sleep(0))",
    "a process pool": "from concurrent.futures import ProcessPoolExecutor as P\n"
    "with P(2) as p: assert list(p.map(abs, [-1])) == [1]",
    "a subprocess": "import subprocess, sys\n"
    "subprocess.run([sys.executable, '-c', ''], check=True)",
    "its own limits": "import os, resource\n"
    "assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 256\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); os.nice(1)\n"
    "os.sched_setaffinity(0, os.sched_getaffinity(0))",
    "no larger sockets": "import socket as s\na, b = s.socketpair()\n"
    "a.setsockopt(s.SOL_SOCKET, s.SO_SNDBUF, 1 << 22)\n"
    "a.setsockopt(s.SOL_SOCKET, s.SO_KEEPALIVE, 1)\n"
    "assert a.getsockopt(s.SOL_SOCKET, s.SO_SNDBUF) < 1 << 20\n"
    "assert a.getsockopt(s.SOL_SOCKET, s.SO_KEEPALIVE)",
    "half a gigabyte": "x = bytearray(500 << 20)",
}


@pytest.mark.parametrize("what", ALLOWED)
def test_the_box_lets(cell, what):
    ending = cell.run(ALLOWED[what])
    assert ending.clean, ending.stderr.decode()


def test_nothing_survives_a_command(cell):
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.fork() or time.sleep(99)"
    assert cell.run(code).clean
    alive = json.loads(cell.run("import os, json; print(json.dumps(os.listdir('/proc')))").stdout)
    assert len([name for name in alive if name.isdigit()]) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root has a user to spare for each grade")
def test_nothing_of_its_user_stays_in_the_kernel(monkeypatch):
    monkeypatch.setattr(Kit, "bwrap", Path("/nowhere"))
    before = system_v()
    made = Cell("sandlock")
    assert made.run("pass").clean
    assert not made.confined.isolation.private
    made.close()
    assert [row for row in system_v() - before if str(made.user.uid) in row.split()] == []


def system_v():
    """List what there is in System V IPC."""
    tables = [Path(f"/proc/sysvipc/{kind}").read_text() for kind in ("shm", "sem", "msg")]
    return {line for table in tables for line in table.splitlines()}


def test_forks_are_limited(cell):
    code = (
        "import os, time\nn = 0\ntry:\n    for _ in range(300):\n"
        "        if os.fork() == 0: time.sleep(9); os._exit(0)\n        n += 1\n"
        "except OSError: pass\nprint(n)"
    )
    assert int(cell.run(code).stdout) <= 64


@pytest.mark.parametrize("backend", ["bwrap", "limits"])
def test_weaker_boxes_have_limits_too(backend):
    made = Cell(backend)
    try:
        assert b"MemoryError" in made.run("bytearray(3500 << 20)").stderr
        code = "import resource\nprint(*map(resource.getrlimit, (6, 7)))"
        processes, files = made.run(code).stdout.decode().split(") (")
        assert files == f"{OPEN_FILES}, {OPEN_FILES})\n"
        assert os.getuid() != 0 or processes == "(512, 512"
    finally:
        made.close()


def test_commands_run_side_by_side(cell):
    endings = []
    threads = [
        threading.Thread(target=lambda: endings.append(cell.run("print('x' * 1000)")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ending.stdout for ending in endings] == [b"x" * 1000 + b"\n"] * 4
