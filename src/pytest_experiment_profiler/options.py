"""The options of experiments, and the words on a command line that they take."""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_experiment_profiler.selection import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH_OPTIONS = (
    "--experiment",
    "--experiment-output",
    "--experiment-client",
    "--experiment-baseline",
    "--experiment-html",
)


def add_options(parser: pytest.Parser) -> None:
    """Add the options and ini settings of experiments."""
    group = parser.getgroup("experiment", "LLM experiments")
    group.addoption(
        "--experiment",
        action="append",
        default=[],
        metavar="MANIFEST",
        help="run this manifest (repeatable); tried from here, then below experiment_paths",
    )
    group.addoption(
        "--experiment-output",
        default="runs",
        type=os.path.expanduser,
        metavar="DIR",
        help="where run folders go: DIR/<experiment_id>/ (default: runs)",
    )
    group.addoption(
        "--experiment-client",
        default="auto",
        type=os.path.expanduser,
        metavar="CLIENT",
        help="who answers: auto (default), anthropic, mock, or a run folder to replay",
    )
    group.addoption(
        "--experiment-resume",
        action="store_true",
        help="go on with an unfinished run: answers that are there are not asked again",
    )
    group.addoption(
        "--experiment-plan",
        action="store_true",
        help="say what would be sent and what it would cost, and send nothing",
    )
    group.addoption(
        "--experiment-budget-usd",
        type=_amount,
        metavar="USD",
        help="most money that the session may spend, worst cases of calls included",
    )
    group.addoption(
        "--experiment-baseline",
        type=os.path.expanduser,
        metavar="RUN",
        help="compare with another run, pair by pair",
    )
    group.addoption(
        "--experiment-intersection",
        action="store_true",
        help="compare what both runs share, where their datasets or definitions differ",
    )
    group.addoption(
        "--experiment-layout",
        choices=LAYOUTS,
        help="one item an experiment (subtests), one a dialogue (tree), or as the caller needs it",
    )
    group.addoption(
        "--experiment-html",
        type=os.path.expanduser,
        metavar="FILE",
        help="write a page for a browser",
    )
    parser.addini("experiment_layout", "auto (default), subtests or tree", default="auto")
    parser.addini(
        "experiment_paths", "folders in which --experiment looks", type="paths", default=[]
    )


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount above 0")
    return amount


def find_manifest(config: pytest.Config, text: str) -> str:
    """Find the manifest that --experiment names; what follows "::" is kept."""
    name, colons, rest = text.partition("::")
    here = config.invocation_params.dir
    tried = [here / name, *(folder / name for folder in config.getini("experiment_paths"))]
    for path in dict.fromkeys(tried):
        if path.is_file():
            return f"{path.resolve()}{colons}{rest}"
    raise pytest.UsageError(_say_missing(name, list(dict.fromkeys(tried))))


def _say_missing(name: str, tried: list[Path]) -> str:
    import difflib  # noqa: PLC0415 -- for a message only

    found = sorted({str(p) for path in tried for p in path.parent.glob("*.y*ml") if p.is_file()})
    names = {Path(path).name: path for path in found}
    near = difflib.get_close_matches(Path(name).name, names, n=1)
    hint = f"; did you mean {names[near[0]]}?" if near else ""
    if any(path.is_dir() for path in tried):
        hint = "; that is a folder: to run all its manifests, give it as an argument of its own"
    return f"--experiment {name}: no such manifest{hint} (tried {', '.join(map(str, tried))})"


def refuse_outside_words(args: Sequence[str]) -> None:
    """Refuse a path outside the current folder that stands as a word after its option.

    pytest takes such a word for a test path and looks for the project's settings there.
    """
    for option, word in itertools.pairwise(args):
        if option not in PATH_OPTIONS:
            continue
        if not Path(os.path.abspath(word)).is_relative_to(Path.cwd()):  # noqa: PTH100 -- as pytest
            raise pytest.UsageError(
                f"write {option}={word} in one word: as a word of its own, pytest takes a path "
                "outside the current folder for a test path and misses the project's settings"
            )
