"""Apply a unified diff to a folder, exactly or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.errors import GraderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
NOWHERE = "/dev/null"


def apply_patch(text: str, folder: Path) -> None:
    """Change the files that a diff names."""
    lines = iter(text.split("\n"))
    parts = list(_files(lines))
    if not parts:
        raise GraderError("the patch changes nothing")
    for old, new, hunks in parts:
        _change(folder, old, new, hunks)


Hunk = tuple[int, list[str]]


def _files(lines: Iterator[str]) -> Iterator[tuple[str, str, list[Hunk]]]:
    """Cut a diff into files, each with its hunks: where it starts, and its lines."""
    old = new = ""
    hunks: list[Hunk] = []
    for line in lines:
        if line.startswith("--- "):
            if hunks:
                yield old, new, hunks
            old, new, hunks = _name(line), _name(next(lines)), []
        elif hunk := HUNK.match(line):
            counts = [int(hunk[group] or 1) if hunk[group] != "0" else 0 for group in (2, 4)]
            hunks.append((int(hunk[1]), list(_hunk_lines(lines, *counts))))
    if hunks:
        yield old, new, hunks


def _name(line: str) -> str:
    name = line[4:].partition("\t")[0].strip()
    return name if name == NOWHERE else re.sub(r"^[ab]/", "", name)


def _hunk_lines(lines: Iterator[str], old: int, new: int) -> Iterator[str]:
    while old > 0 or new > 0:
        line = next(lines) or " "
        if line.startswith("\\"):
            continue
        old -= line[0] in " -"
        new -= line[0] in " +"
        yield line


def _change(folder: Path, old: str, new: str, hunks: list[Hunk]) -> None:
    source = [] if old == NOWHERE else (folder / old).read_text(encoding="utf-8").split("\n")
    result: list[str] = []
    done = 0
    for start, lines in hunks:
        before = [line[1:] for line in lines if line[0] in " -"]
        place = _find(source, before, max(start - 1, 0), done)
        if place is None:
            raise GraderError(f"{old}: a hunk of the patch doesn't fit at line {start}")
        result += source[done:place] + [line[1:] for line in lines if line[0] in " +"]
        done = place + len(before)
    result += source[done:]
    if new == NOWHERE:
        (folder / old).unlink()
        return
    (folder / new).parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(result)
    (folder / new).write_text(
        text if text.endswith("\n") or old != NOWHERE else text + "\n", encoding="utf-8"
    )


def _find(source: list[str], wanted: list[str], near: int, done: int) -> int | None:
    """Find lines where they should be, or at the nearest place where they are."""
    places = [
        place
        for place in range(done, len(source) - len(wanted) + 1)
        if source[place : place + len(wanted)] == wanted
    ]
    return min(places, key=lambda place: abs(place - near), default=None) if source else 0
