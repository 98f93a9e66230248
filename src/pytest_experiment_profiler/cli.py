"""The shell command: its words, and what becomes of errors."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_experiment_profiler.commands.output import FAILED, INTERRUPTED, WRONG, say
from pytest_experiment_profiler.errors import ExperimentError
from pytest_experiment_profiler.reports.formats import REPORTS
from pytest_experiment_profiler.reports.plain import make_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CLIENT_HELP = "auto (default), anthropic, mock, or a run folder to replay"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = options.find_command()
        return command(options)
    except ExperimentError as error:
        say(make_plain(str(error)), sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that exit can't fail
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="experiment-profiler", description="Run LLM experiments.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run an experiment without pytest"))
    _add_summarize(commands.add_parser("summarize", help="print the table of a run folder"))
    _add_compare(commands.add_parser("compare", help="compare two run folders"))
    schema = commands.add_parser("schema", help="print the JSON Schema of manifests")
    schema.add_argument(
        "--write",
        type=Path,
        metavar="MANIFEST",
        help="put it beside a manifest and name it there",
    )
    schema.set_defaults(find_command=_find_schema)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, type=Path, metavar="MANIFEST")
    parser.add_argument(
        "--output-dir", default=Path("runs"), type=Path, metavar="DIR", help="default: runs"
    )
    parser.add_argument("--client", default="auto", help=CLIENT_HELP)
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    parser.add_argument("--plan", action="store_true", help="say what would be sent, send nothing")
    parser.add_argument("--budget-usd", type=_amount, metavar="USD", help="most money to spend")
    parser.add_argument("--baseline", type=Path, metavar="RUN", help="compare with this run")
    _add_intersection(parser)
    parser.set_defaults(find_command=_find_run)


def _add_summarize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log-dir", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--rescore", action="store_true", help="write scores and summary anew")
    parser.add_argument("--format", choices=REPORTS, default="table", help="default: table")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page for a browser, too")
    parser.add_argument("--gates", type=Path, metavar="FILE", help="judge by the gates of a file")
    parser.set_defaults(find_command=_find_summarize)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("baseline", type=Path)
    parser.add_argument("candidate", type=Path)
    _add_intersection(parser)
    parser.set_defaults(find_command=_find_compare)


def _add_intersection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--intersection",
        action="store_true",
        help="compare what both runs share, where their datasets or definitions differ",
    )


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount above 0")
    return amount


# Each command brings modules of its own, so it is imported when it is called.


def _find_run() -> Callable[[argparse.Namespace], int]:
    from pytest_experiment_profiler.commands.run import run  # noqa: PLC0415

    return run


def _find_summarize() -> Callable[[argparse.Namespace], int]:
    from pytest_experiment_profiler.commands.summarize import summarize_folder  # noqa: PLC0415

    return summarize_folder


def _find_compare() -> Callable[[argparse.Namespace], int]:
    from pytest_experiment_profiler.commands.compare import compare_folders  # noqa: PLC0415

    return compare_folders


def _find_schema() -> Callable[[argparse.Namespace], int]:
    from pytest_experiment_profiler.commands.schema import print_schema  # noqa: PLC0415

    return print_schema
