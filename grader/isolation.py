"""Choose how to confine: the strongest way that works here, tried before the first command."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from grader.box import Backend, Box, Command
from grader.errors import GraderError
from grader.verdict import Isolation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grader.interpreter import Interpreter
    from grader.kit import Kit
    from grader.user import BoxUser

Level: TypeAlias = Literal["limits", "namespaces", "full"]
LEVELS: tuple[str, ...] = get_args(Level)
BACKENDS: dict[Backend, Level] = {"sandlock": "full", "bwrap": "namespaces", "limits": "limits"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Confined:
    """A box that stood its test, how far it confines, and the Python in it."""

    box: Box
    isolation: Isolation
    python: str


def confine(
    *, kit: Kit, interpreter: Interpreter, user: BoxUser, root: Path, required: Level
) -> Confined:
    """Open a box with the strongest backend, none weaker than required."""
    refusals = []
    for way in _ways(required, kit):
        try:
            return _try(way, kit=kit, interpreter=interpreter, user=user, root=root)
        except LeakError:
            raise
        except GraderError as error:
            refusals.append(f"{way.backend}: {error}")
    raise GraderError(f"isolation {required} can't be had: " + "; ".join(refusals))


class LeakError(GraderError):
    """Say that a box let something through that it must not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A way to confine, and how far it reaches."""

    backend: Backend
    level: Level
    private: bool

    @property
    def name(self) -> str:
        """Name the folders of this way."""
        return f"{self.backend}-{int(self.private)}"


def _ways(required: Level, kit: Kit) -> Iterator[Way]:
    """List the ways that reach far enough, the strongest first."""
    for backend, level in BACKENDS.items():
        if LEVELS.index(level) < LEVELS.index(required):
            continue
        if backend == "sandlock" and kit.bwrap.is_file():
            yield Way(backend=backend, level=level, private=True)
        yield Way(backend=backend, level=level, private=False)


def _try(way: Way, *, kit: Kit, interpreter: Interpreter, user: BoxUser, root: Path) -> Confined:
    """Open a box and try what is forbidden; only `limits` may let it through."""
    box = Box(
        kit=kit,
        interpreter=interpreter,
        user=user,
        backend=way.backend,
        home=user.give(root / f"h-{way.name}"),
        private=root if way.private else None,
    )
    try:
        python, worked = _probe(box, user, root, way.name)
        if worked and way.level != "limits":
            raise LeakError(f"the box lets through: {', '.join(worked)}")
    except GraderError:
        box.close()
        raise
    hello = box.backend
    return Confined(
        box=box,
        python=python,
        isolation=Isolation(
            level=way.level if hello["uid"] != 0 else "limits",
            backend=hello["backend"],
            backend_version=hello["version"],
            uid_dropped=user.dropped,
            private=way.private,
            landlock_abi=hello["landlock_abi"],
        ),
    )


def _probe(box: Box, user: BoxUser, root: Path, name: str) -> tuple[str, list[str]]:
    """Lay out things that only confinement keeps the box from, and let it try."""
    bait = root / f"k-{name}"
    bait.mkdir()
    (bait / "file").write_text("x")
    shared = bait / "folder"
    shared.mkdir()
    shared.chmod(0o777)
    scratch = user.give(root / f"t-probe-{name}")
    with socket.socket() as listener, socket.socket(type=socket.SOCK_DGRAM) as receiver:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)  # noqa: FBT003 -- socket's own signature
        ports = (str(listener.getsockname()[1]), str(receiver.getsockname()[1]))
        tried = (str(bait / "file"), str(shared), *ports, str(os.getpid()))
        command = Command(
            name=f"probe-{name}",
            arguments=(str(box.probe_script), *tried),
            cwd=scratch,
            readable=(box.probe_script,),
            writable=(scratch,),
            environment={"PATH": "/usr/bin:/bin", "HOME": str(scratch)},
        )
        ending = box.run(command)
        received = _has_come(receiver)
    if not ending.clean:
        detail = ending.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise GraderError(f"no command can be started in the box ({ending.reason} {detail})")
    python, *worked = ending.stdout.decode().split()
    return python, [*worked, *(["udp"] if received else [])]


def _has_come(receiver: socket.socket) -> bool:
    try:
        return bool(receiver.recv(1))
    except BlockingIOError:
        return False
