"""Exit codes, and the one place where the shell's commands print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from pytest_experiment_profiler.reports.table import list_notes, render_table

if TYPE_CHECKING:
    from pytest_experiment_profiler.records import Record

WELL, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a text, in plain characters where the stream lacks others."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def say_summary(summary: Record) -> None:
    """Print the table and what stands below it."""
    say(render_table(summary, sys.stdout.encoding or "utf-8"))
    for note in list_notes(summary):
        say(note)
