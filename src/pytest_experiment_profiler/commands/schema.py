"""`schema`: the JSON Schema of manifests, for editors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_experiment_profiler.commands.output import WELL, say
from pytest_experiment_profiler.errors import UsageError
from pytest_experiment_profiler.runlog import write_whole
from pytest_experiment_profiler.validation import load_schema

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

NAME = "experiment.schema.json"
LINE = f"# yaml-language-server: $schema={NAME}"


def print_schema(options: argparse.Namespace) -> int:
    """Print the schema, or write it beside a manifest."""
    text = json.dumps(load_schema("manifest"), indent=2)
    if options.write is None:
        say(text)
    else:
        _write(options.write, text)
    return WELL


def _write(manifest: Path, text: str) -> None:
    """Put the schema beside a manifest, and the line that editors look for on its top."""
    try:
        content = manifest.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{manifest} can't be read: {error}") from error
    write_whole(manifest.with_name(NAME), (text + "\n").encode())
    if LINE not in content:
        write_whole(manifest, f"{LINE}\n{content}".encode())
    say(f"{manifest.with_name(NAME)} written; {manifest} names it")
