"""Put a process in place of pytest's that nothing planted can reach.

Imports little: what a hostile folder may shadow is imported before it can.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

GRADER = Path(__file__).resolve().parent
NO_GRADE = {"-h", "--help", "-V", "--version", "--co", "--collect-only"}
USAGE = 4


def take_over(config: pytest.Config) -> None:
    """Start the grader alone with the options of this call, unless no grade is asked for."""
    arguments = [os.fspath(word) for word in config.invocation_params.args]
    if NO_GRADE & set(arguments):
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    own, rest = _own_options().parse_known_args(arguments)
    others = [word for word in rest if not word.startswith("-") and _is_elsewhere(word)]
    if others:
        sys.stderr.write(f"run the grader alone, without {' '.join(others)}\n")
        os._exit(USAGE)
    _replace_process(own)


def _is_elsewhere(word: str) -> bool:
    path = Path(word.partition("::")[0]).resolve()
    return path.exists() and not path.is_relative_to(GRADER)


def _own_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_options(parser.add_argument)
    return parser


def add_options(add: Any) -> None:  # noqa: ANN401 -- pytest's and argparse's methods
    """Add the options of `grade`."""
    add("--submission", default="", help="the folder to grade (default: the starter)")
    add("--seed", type=int, default=0, help="which hidden cases")
    add("--json", default="", help="write the verdict there")
    add("--feedback", choices=("none", "ids", "full"), default="ids", help="how much to say")
    levels = ("limits", "namespaces", "full")
    add("--require-isolation", choices=levels, default="limits", help="or give no verdict")
    add("--real-sdk", action="store_true", help="use the real SDK in the box")
    add("--box-python", default="", help="the Python of the box")


def _replace_process(own: argparse.Namespace) -> None:
    options = []
    for name, value in vars(own).items():
        word = "--" + name.replace("_", "-")
        if value is True:
            options.append(word)
        elif value not in {"", False}:
            is_path = name in {"submission", "json", "box_python"}
            options.append(f"{word}={os.path.abspath(value) if is_path else value}")  # noqa: PTH100
    with contextlib.suppress(ValueError, OSError):
        sys.stdout.flush()
    os.chdir("/")
    python = [sys.executable, "-I", "-B", "-X", "utf8"]
    command = [*python, "-m", "pytest", "-q", "-c", str(GRADER / "grader.ini")]
    command += ["--rootdir", str(GRADER), "--confcutdir", str(GRADER), "--tb=no", "-rN"]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider", "-o", "addopts="]
    os.execve(sys.executable, [*command, *options, str(GRADER)], _clean_environment())  # noqa: S606


def _clean_environment() -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
