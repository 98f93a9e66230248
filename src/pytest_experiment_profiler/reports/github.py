"""A failure → the line that GitHub Actions shows beside the file; its syntax is the runner's."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_experiment_profiler.reports.plain import make_plain


def annotate(path: Path, line: int, title: str, message: str, workspace: str) -> str:
    """Write one `::error` command; `line` counts from 1, paths are relative to `workspace`."""
    try:
        shown = Path(os.path.relpath(path, workspace)).as_posix() if workspace else path.as_posix()
    except ValueError:
        shown = path.as_posix()
    fields = f"file={_escape_field(shown)},line={line},title={_escape_field(make_plain(title))}"
    return f"::error {fields}::{_escape(make_plain(message))}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_field(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
