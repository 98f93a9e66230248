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
    folders = (word for word in words if word[:1] != "-" and "::" not in word)
    named = any(os.path.realpath(word) == str(GRADER) for word in folders)
    if not named or sys.flags.isolated:
        return
    spec = importlib.util.spec_from_file_location("grader_entry", GRADER / "entry.py")
    if spec and spec.loader:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.take_over(config)
