"""Try in the box what the box must not allow; print as JSON the names of what worked.

Arguments: a file to read, a folder to write in, a port to connect to, one to
send a datagram to (whether it came only the receiver can tell), a process to signal.
"""

import contextlib
import json
import os
import socket
import sys


def _read(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 -- no pathlib: start-up
        file.read(1)


def _write(folder: str) -> None:
    with open(os.path.join(folder, "written"), "wb"):  # noqa: PTH118, PTH123
        pass


def _connect(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port)), 1).close()


def _datagram(port: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", int(port)))


def _signal(process: str) -> None:
    os.kill(int(process), 0)


def _environ(process: str) -> None:
    _read(f"/proc/{process}/environ")


def main(path: str, folder: str, port: str, datagrams: str, process: str) -> None:
    """Try each and print what worked."""
    attempts = {
        "read": (_read, path),
        "write": (_write, folder),
        "tcp": (_connect, port),
        "signal": (_signal, process),
        "proc": (_environ, process),
    }
    with contextlib.suppress(OSError):
        _datagram(datagrams)
    worked = []
    for name, (attempt, argument) in attempts.items():
        try:
            attempt(argument)
        except OSError:
            continue
        worked.append(name)
    version = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(json.dumps({"worked": worked, "python": version}))


if __name__ == "__main__":
    main(*sys.argv[1:])
