"""The folders of one grade, and how a command of the submission is started in them."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader.artifacts import read_file
from grader.box import Command, Ending
from grader.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.box import Box
    from grader.kit import Kit
    from grader.user import BoxUser

ARTIFACTS = ("requests.jsonl", "responses.jsonl", "summary.json")
MODULE = "experiment_profiler.cli"
SYSTEM = tuple(filter(Path.is_dir, map(Path, ("/usr/lib/locale", "/usr/share/zoneinfo"))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """The folders of one grade, and how a command of the submission is started in them."""

    root: Path
    program: Path
    box: Box
    user: BoxUser
    kit: Kit
    places: dict[str, str] = field(default_factory=dict)

    def place(self, name: str) -> str:
        """Give the name of a folder that tells a program nothing."""
        return self.places.setdefault(name, secrets.token_hex(4))

    def anew(self, kit: Kit) -> Bench:
        """Give a bench with empty folders and another kit."""
        root = self.root / "again"
        root.mkdir(mode=0o711)
        return replace(self, root=root, kit=kit)

    def desk(self, name: str) -> Path:
        """Name the folder that holds the files of a command."""
        return self.root / "d" / self.place(name)

    def output(self, name: str) -> Path:
        """Make a folder for what a command writes."""
        return self.user.give(self.root / self.place(f"output of {name}"))

    def hand_over(self, folder: Path) -> None:
        """Make a folder with its files the box's own."""
        if self.user.dropped:
            for path in (folder, *folder.iterdir()):
                os.chown(path, self.user.uid, self.user.uid)

    def start(  # noqa: PLR0913 -- a command has these parts
        self,
        name: str,
        arguments: list[str],
        *,
        cwd: Path,
        out: Path | None = None,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        scratch_name: str | None = None,
    ) -> Ending:
        """Start the submission with these arguments and wait for its end."""
        scratch = self.root / self.place(f"scratch of {scratch_name or name}")
        if not scratch.is_dir():
            self.user.give(scratch)
        folders = (self.kit.packages, self.program)
        search = os.pathsep.join(map(str, folders))
        command = Command(
            name=name,
            arguments=(*self.kit.start_arguments(folders, MODULE), *arguments),
            cwd=cwd,
            readable=(*self.kit.readable, *SYSTEM, self.program, self.root / "d"),
            writable=(scratch, *([out] if out else [])),
            environment={
                **surroundings(scratch, self.kit.programs, search),
                **(environment or {}),
            },
            port=port,
        )
        return self.box.run(command)

    def collect(
        self, writable: Path, below: tuple[str, ...]
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """Read the three files of a run, and say of each that can't be read why."""
        files: dict[str, bytes] = {}
        problems: dict[str, str] = {}
        for name in ARTIFACTS:
            try:
                files[name] = read_file(writable, (*below, name), self.user.uid)
            except ArtifactError as error:
                problems[name] = str(error)
        return files, problems


def surroundings(scratch: Path, programs: Path, search: str) -> dict[str, str]:
    """Give the environment of a command, from scratch and without a word about grading."""
    return {
        "PATH": str(programs),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "USER": "user",
        "LANG": "C.UTF-8",
        "LC_MESSAGES": "C",  # else each message of argparse is looked for in eight files
        "TZ": "UTC",
        "COLUMNS": "100",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": search,
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "2",  # else each thread reserves memory that counts as used
    }
