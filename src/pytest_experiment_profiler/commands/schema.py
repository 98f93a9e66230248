"""`schema`: the JSON Schema of manifests, for editors."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
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
_ANY = re.compile(rb"^#\s*yaml-language-server:[^\r\n]*", re.MULTILINE)


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
        content = manifest.read_bytes()
    except OSError as error:
        raise UsageError(f"{manifest} can't be read: {error}") from error
    write_whole(manifest.with_name(NAME), (text + "\n").encode())
    write_whole(manifest, _name_schema(content))
    say(f"{manifest.with_name(NAME)} written; {manifest} names it")


def _name_schema(manifest: bytes) -> bytes:
    """Put our line in the place of one that names another schema, else on top."""
    mark, rest = (BOM_UTF8, manifest[3:]) if manifest.startswith(BOM_UTF8) else (b"", manifest)
    ours, count = _ANY.subn(LINE.encode(), rest, count=1)
    if count:
        return mark + ours
    end = b"\r\n" if b"\r\n" in rest else b"\n"
    return mark + LINE.encode() + end + rest
