"""The shell command: run an experiment, sum up a run folder, print the schema of manifests."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pytest_experiment_profiler import clients, documents, manifest
from pytest_experiment_profiler.errors import ExperimentError, RunFolderError
from pytest_experiment_profiler.metrics import read_answers
from pytest_experiment_profiler.metrics.scores import own_values
from pytest_experiment_profiler.pricing import FREE_CLIENTS
from pytest_experiment_profiler.provenance import parse_experiment
from pytest_experiment_profiler.reports.failure import explain_failure
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.reports.progress import show_progress
from pytest_experiment_profiler.reports.table import list_notes, render_table
from pytest_experiment_profiler.runlog import read_records, read_run, read_transcripts
from pytest_experiment_profiler.summary import Tally, summarize, summary_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.records import Record

WELL, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except ExperimentError as error:
        _say(make_plain(str(error)), sys.stderr)
        return FAILED if isinstance(error, RunFolderError) and options.command is _run else WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 -- so that exit can't fail again
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="experiment-profiler", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run an experiment without pytest")
    run.add_argument("--config", required=True, type=Path, metavar="MANIFEST")
    run.add_argument("--output-dir", default=Path("runs"), type=Path, metavar="DIR")
    run.add_argument("--client", default="auto", choices=("auto", *clients.CLIENTS))
    run.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    run.set_defaults(command=_run)
    summary = commands.add_parser("summarize", help="print the table of a run folder")
    summary.add_argument("--log-dir", required=True, type=Path, metavar="FOLDER")
    summary.set_defaults(command=_summarize)
    schema = commands.add_parser("schema", help="print the JSON Schema of manifests")
    schema.set_defaults(command=_schema)
    return parser


def _run(options: argparse.Namespace) -> int:
    from pytest_experiment_profiler import engine  # noqa: PLC0415 -- asyncio, for a run only
    from pytest_experiment_profiler.loop import LoopThread  # noqa: PLC0415 -- likewise

    checked = manifest.check_manifest(options.config, Path.cwd())
    experiment = checked.experiment
    choice = clients.choose_client(options.client, experiment, os.environ)
    _say(str(choice))
    client = clients.open_client(choice.name, experiment)
    loop = LoopThread()
    try:
        setting = engine.Setting(
            client=client,
            base_url=choice.base_url,
            output=options.output_dir,
            loop=loop,
            own_metrics={},
            resume=options.resume,
        )
        run = engine.start_run(checked, setting)
        interrupted = _follow(run, len(checked.lines))
        run.finish()
    finally:
        loop.close()
    summary = json.loads((run.folder / "summary.json").read_text("utf-8"))
    _print_summary(summary)
    if interrupted:
        return INTERRUPTED
    if run.progress.stopped:
        _say(run.progress.stopped, sys.stderr)
    _say(f"Completed experiment {experiment.experiment_id}")
    _say(f"Metrics written to {run.folder / 'summary.json'}")
    return FAILED if summary["counts"]["errors"] or summary["counts"]["not_run"] else WELL


def _follow(run: Run, total: int) -> bool:
    """Show how a run goes on, and each failure; tell whether it was interrupted."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with show_progress(total, sys.stderr) as advance:
            for transcripts in run.take_transcripts():
                advance()
                for transcript in transcripts:
                    if transcript.outcome == "error":
                        _say(explain_failure(transcript) + "\n", sys.stderr)
    except KeyboardInterrupt:
        run.stop("interrupted")
    finally:
        signal.signal(signal.SIGTERM, before)
    return run.progress.stopped == "interrupted"


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _summarize(options: argparse.Namespace) -> int:
    _print_summary(read_summary(options.log_dir))
    return WELL


def read_summary(folder: Path) -> Record:
    """Sum up a run folder from its logs; values of own metrics are taken from scores.jsonl."""
    run = read_run(folder)
    experiment = parse_experiment(run["experiment"])
    tally = Tally(priced=run["client"] not in FREE_CLIENTS)
    scores = read_records(folder / "scores.jsonl")
    own = {(score["dialogue_id"], score["repeat"]): own_values(score) for score in scores}
    for transcripts in read_transcripts(folder, repeats=experiment.repeats):
        read = [read_answers(transcript, experiment) for transcript in transcripts]
        tally.add(read, [own.get((t.dialogue.dialogue_id, t.repeat), {}) for t in read])
    return summary_record(summarize(run, tally))


def _schema(_options: argparse.Namespace) -> int:
    _say(json.dumps(documents.load_schema("manifest"), indent=2))
    return WELL


def _print_summary(summary: Record) -> None:
    _say(render_table(summary, sys.stdout.encoding))
    for note in list_notes(summary):
        _say(note)


def _say(text: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=stream)
