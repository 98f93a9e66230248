"""Ask of the kernel what the backends leave open; beside the launcher, and without a package.

Files are named by path and confined by that; a process is named by its number, and one of the same
user may change another's limits and priority: so none may name any process but itself.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

Instruction = tuple[int, int, int, int]
Arguments = tuple[tuple[int, int], ...]
Rules = dict[int, Arguments]

SYSTEM_V = {"shm": "shmctl", "sem": "semctl", "msg": "msgctl"}
IPC_RMID = 0
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
ALLOW, DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
PASS_OVER = 0x00050000  # as if it had worked
FOREIGN = 0x40000000  # numbers of the x32 interface begin here
ITSELF: Arguments = ((0, 0),)
SOCKET_LEVEL, BUFFER_OPTIONS = 1, (7, 8, 32, 33)
SETSOCKOPT = {"x86_64": 54, "aarch64": 208}
CALLS: dict[str, tuple[int, Rules]] = {
    # prlimit64, sched_setparam, sched_setscheduler, sched_setaffinity, sched_setattr,
    # setpriority, ioprio_set, io_uring_setup
    "x86_64": (
        0xC000003E,
        {
            **dict.fromkeys((302, 142, 144, 203, 314), ITSELF),
            141: ((0, 0), (1, 0)),
            251: ((0, 1), (1, 0)),
            425: (),
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            **dict.fromkeys((261, 118, 119, 122, 274), ITSELF),
            140: ((0, 0), (1, 0)),
            30: ((0, 1), (1, 0)),
            425: (),
        },
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_calls() -> None:
    """Let this process and its children name no other process in calls that change one.

    The buffers of their sockets, which count as nobody's memory, stay as large as usual.
    """
    machine = os.uname().machine
    code = b"".join(
        operation.to_bytes(2, "little") + bytes((yes, no)) + value.to_bytes(4, "little")
        for operation, yes, no, value in _instructions(*CALLS[machine], SETSOCKOPT[machine])
    )
    program = _Program(len(code) // 8, code)
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or library.prctl(
        PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def _instructions(architecture: int, rules: Rules, setsockopt: int) -> Iterator[Instruction]:
    """Allow each listed call with its listed arguments only, and all others of this machine."""
    yield LOAD, 0, 0, ARCHITECTURE_AT
    yield EQUAL, 1, 0, architecture
    yield RETURN, 0, 0, DENY
    yield LOAD, 0, 0, NUMBER_AT
    yield AT_LEAST, 0, 1, FOREIGN
    yield RETURN, 0, 0, DENY
    for number, arguments in rules.items():
        yield EQUAL, 0, 3 * len(arguments) + 1, number
        for position, value in arguments:
            yield LOAD, 0, 0, ARGUMENTS_AT + 8 * position
            yield EQUAL, 1, 0, value
            yield RETURN, 0, 0, DENY
        yield RETURN, 0, 0, ALLOW if arguments else DENY
    options = len(BUFFER_OPTIONS)
    yield EQUAL, 0, options + 3, setsockopt
    yield LOAD, 0, 0, ARGUMENTS_AT + 8
    yield EQUAL, 0, options + 1, SOCKET_LEVEL
    yield LOAD, 0, 0, ARGUMENTS_AT + 16
    for left, option in zip(range(options, 0, -1), BUFFER_OPTIONS, strict=True):
        yield EQUAL, left, 0, option
    yield RETURN, 0, 0, ALLOW
    yield RETURN, 0, 0, PASS_OVER


def remove_system_v() -> None:
    """Remove what this user has in System V IPC, where it outlives every process.

    `sandlock` keeps two segments and two sets of semaphores for each user that ever used it, and
    a machine has room for a few thousand.
    """
    library = ctypes.CDLL(None)
    for kind, control in SYSTEM_V.items() if os.path.isdir("/proc/sysvipc") else ():  # noqa: PTH112
        with open(f"/proc/sysvipc/{kind}", encoding="ascii") as file:  # noqa: PTH123
            owner = file.readline().split().index("uid")
            rows = [line.split() for line in file]
        for row in rows:
            if int(row[owner]) == os.getuid():
                getattr(library, control)(int(row[1]), *(0,) * (kind == "sem"), IPC_RMID, None)
