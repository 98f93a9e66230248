"""Try in the box what it must not allow; print the version of Python and what worked.

Arguments: a file to read, a folder to write in, a port to connect to, one to
send a datagram to (whether it came only the receiver can tell), a process to signal.
"""

import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


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
    _works(_datagram, datagrams)
    worked = [name for name, attempt in attempts.items() if _works(*attempt)]
    version = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(" ".join([version, *worked]))


def _works(attempt: "Callable[[str], None]", argument: str) -> bool:
    try:
        attempt(argument)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
