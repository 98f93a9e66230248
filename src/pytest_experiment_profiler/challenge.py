"""The grader of the challenge, which lies beside this library in its repository."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

GRADER = Path(__file__).resolve().parents[2] / "grader"


def start_grader(config: pytest.Config) -> None:
    """Let the grader take over if an argument names it, before a conftest.py is imported.

    pytest takes DIR of `--submission DIR` for a test path: what lies in it would come first.
    """
    words = map(os.fspath, config.invocation_params.args)
    if sys.flags.isolated or not any(map(_is_grader, words)):
        return
    spec = importlib.util.spec_from_file_location("grader_entry", GRADER / "entry.py")
    if spec and spec.loader:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.take_over(config)


def _is_grader(word: str) -> bool:
    path, ids, _ = word.partition("::")
    if word.startswith("-") or (ids and GRADER.name not in path):
        return False  # an editor sends thousands of ids: resolving each takes long
    return f"{os.path.realpath(path)}{os.sep}".startswith(f"{GRADER}{os.sep}")
