"""What can be said on the command line, and what it prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from grader.errors import GraderError
from grader.grade import Options, grade
from grader.isolation import Level
from grader.places import cores
from grader.room import open_room
from grader.verdict import EXIT_CODES, Feedback, forget_verdict, write_verdict
from grader.workspace import build_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Carry out a command; the exit code is its answer."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.carry_out(parsed))
    except (GraderError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CODES["error"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_grade(commands.add_parser("grade", help="grade a submission"))
    workspace = commands.add_parser("workspace", help="write what an agent gets")
    workspace.add_argument("folder", type=Path, metavar="DIR")
    workspace.set_defaults(carry_out=_workspace)
    corpus = commands.add_parser("corpus", help="write every program of the corpus")
    corpus.add_argument("folder", type=Path, metavar="DIR")
    corpus.set_defaults(carry_out=_corpus)
    _add_quality(commands.add_parser("quality", help="measure the grader with the corpus"))
    return parser


def _add_quality(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quick", action="store_true", help="one seed and few repeats")
    command.add_argument("--workers", type=int, default=cores())
    command.add_argument("--write", type=Path, metavar="FILE", help="write the report there")
    command.set_defaults(carry_out=_quality)


def _add_grade(command: argparse.ArgumentParser) -> None:
    command.add_argument("submission", type=Path, metavar="DIR")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the verdict there")
    add_options(command)
    command.set_defaults(carry_out=_grade)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what decides how a submission is graded."""
    command.add_argument("--seed", type=int, default=0, help="which hidden cases (default 0)")
    command.add_argument("--feedback", choices=get_args(Feedback), default="ids")
    command.add_argument("--require-isolation", choices=get_args(Level), default="limits")
    command.add_argument("--real-sdk", action="store_true", help="use the real SDK in the box")
    command.add_argument("--python", type=Path, metavar="P", help="the Python of the box")


def options_of(parsed: argparse.Namespace) -> Options:
    """Read the options of a grade."""
    return Options(
        seed=parsed.seed,
        feedback=parsed.feedback,
        required=parsed.require_isolation,
        real_sdk=parsed.real_sdk,
        python=parsed.python,
    )


def _grade(parsed: argparse.Namespace) -> int:
    if parsed.json:
        forget_verdict(parsed.json)
    open_room()
    verdict = grade(parsed.submission, options_of(parsed))
    if parsed.json:
        write_verdict(verdict, parsed.json)
    sys.stdout.write(verdict.to_json() + "\n")
    return verdict.exit_code


def _workspace(parsed: argparse.Namespace) -> int:
    build_workspace(parsed.folder)
    sys.stdout.write(f"The workspace stands in {parsed.folder}\n")
    return 0


def _corpus(parsed: argparse.Namespace) -> int:
    from grader.corpus import write_corpus  # noqa: PLC0415 -- a grade needs none of it

    for folder in write_corpus(parsed.folder):
        sys.stdout.write(f"{folder}\n")
    return 0


def _quality(parsed: argparse.Namespace) -> int:
    from grader.quality import (  # noqa: PLC0415 -- a grade needs none of it
        FULL,
        QUICK,
        findings,
        idle_checks,
        kill_matrix,
        measure,
        table,
    )

    open_room()
    report = measure(QUICK if parsed.quick else FULL, parsed.workers)
    found = findings(report)
    text = table(report) + "\n"
    for finding in found:
        text += f"\n{finding.what}: {finding.member}, seed {finding.seed}: {finding.detail}"
    idle = idle_checks(report)
    text += f"\nChecks that no program of the corpus fails by itself: {' '.join(idle) or 'none'}\n"
    sys.stdout.write(text)
    if parsed.write:
        parsed.write.write_text(f"{text}\n{kill_matrix(report)}\n", encoding="utf-8")
    return 1 if found else 0
