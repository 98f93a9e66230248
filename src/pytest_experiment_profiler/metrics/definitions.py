"""The name of today's definitions: it changes whenever a reader, a metric or a weight does."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pytest_experiment_profiler.experiment import REFUSED


@cache
def name_definitions() -> str:
    """Hash all files that decide what an answer is worth; 12 hexadecimal digits.

    How lines end is up to who checks the files out, so it doesn't count.
    """
    digest = hashlib.sha256(repr(sorted(REFUSED)).encode())
    files = Path(__file__).parent.iterdir()
    for file in sorted(files, key=lambda file: file.name):
        if file.name.endswith((".py", ".json")):
            content = file.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]
