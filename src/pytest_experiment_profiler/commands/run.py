"""`run`: an experiment without pytest."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_experiment_profiler import clients, launch, manifest
from pytest_experiment_profiler.commands.output import (
    FAILED,
    INTERRUPTED,
    WELL,
    say,
    say_summary,
)
from pytest_experiment_profiler.comparison import check_comparable
from pytest_experiment_profiler.dialogues import read_dialogues
from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.loop import LoopThread
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.models import find_deprecation
from pytest_experiment_profiler.plan import plan_run
from pytest_experiment_profiler.reports.failure import Place, explain_failure, list_failed
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.reports.progress import show_bar
from pytest_experiment_profiler.scored import find_baseline

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Experiment
    from pytest_experiment_profiler.manifest import Checked
    from pytest_experiment_profiler.scored import RunScores

INTERRUPTION = "interrupted"


def run(options: argparse.Namespace) -> int:
    """Run a manifest, or say what it would send."""
    checked = manifest.check_manifest(options.config, Path.cwd())
    experiment = checked.experiment
    choice = clients.choose_client(options.client, experiment, os.environ)
    say(str(choice))
    deprecation = find_deprecation(experiment.model) if choice.name == "anthropic" else None
    for warning in [*checked.warnings, *([deprecation] if deprecation else [])]:
        say(f"warning: {warning}")
    if options.plan:
        folder = options.output_dir / experiment.experiment_id
        say("\n".join(plan_run(experiment, choice.name, folder, resume=options.resume).lines()))
        return WELL
    with _serving() as loop:
        held = _start(options, checked, choice, loop)
        _follow(held)
        try:
            _finish(held)
        except RunFolderError as error:
            say(make_plain(str(error)), sys.stderr)
            return INTERRUPTED if held.progress.stopped == INTERRUPTION else FAILED
    return _conclude(options, held)


def _start(
    options: argparse.Namespace, checked: Checked, choice: clients.Choice, loop: LoopThread
) -> Run:
    options.baseline and find_baseline(options.baseline, checked.experiment.experiment_id)
    setting = launch.Setting(
        client=clients.open_client(choice, checked.experiment),
        why=choice.why,
        base_url=choice.base_url,
        output=options.output_dir,
        loop=loop,
        own_metrics={},
        resume=options.resume,
        budget=launch.open_budget(options.budget_usd),
        baseline=_find_baseline(options, checked.experiment),
        intersection=options.intersection,
    )
    return launch.start_run(checked, setting)


def _find_baseline(options: argparse.Namespace, experiment: Experiment) -> RunScores | None:
    if not options.baseline:
        return None
    baseline = find_baseline(options.baseline, experiment.experiment_id)
    dialogues = read_dialogues(experiment.dataset_path)
    version = name_definitions()
    check_comparable(baseline, experiment, dialogues, version, intersection=options.intersection)
    return baseline


@contextmanager
def _serving() -> Iterator[LoopThread]:
    """Have a thread for the calls; SIGTERM is taken for Ctrl-C meanwhile."""
    loop = LoopThread()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield loop
    finally:
        signal.signal(signal.SIGTERM, before)
        loop.close()


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _follow(run: Run) -> None:
    """Show how a run goes on, and each failure; stop it on Ctrl-C."""
    try:
        with show_bar(sys.stderr) as show:
            for transcripts in run.take_transcripts(lambda: show(run.standing())):
                gates = tuple(gate.sentence for gate in run.judge(transcripts))
                run.broken_gates += len(gates)
                for transcript in list_failed(transcripts, gates):
                    place = Place(log=run.find_log(transcript))
                    say(explain_failure(transcript, place, gates) + "\n", sys.stderr)
    except KeyboardInterrupt:
        run.stop(INTERRUPTION)


def _finish(run: Run) -> None:
    try:
        run.finish()
    except KeyboardInterrupt:
        run.stop(INTERRUPTION)
        run.finish()


def _conclude(options: argparse.Namespace, run: Run) -> int:
    summary = json.loads((run.folder / "summary.json").read_text("utf-8"))
    say_summary(summary)
    stopped = run.progress.stopped
    if stopped:
        say(f"not run: {stopped}" if stopped == "budget" else stopped, sys.stderr)
    if stopped or summary["counts"]["errors"]:
        say(f"resume: {_resume_command(options)}", sys.stderr)
    if stopped == INTERRUPTION:
        return INTERRUPTED
    say(f"Completed experiment {run.experiment.experiment_id}")
    say(f"Metrics written to {run.folder / 'summary.json'}")
    broken = run.broken_gates or any(not gate["holds"] for gate in summary["gates"])
    counts = summary["counts"]
    return FAILED if broken or counts["errors"] or counts["not_run"] else WELL


def _resume_command(options: argparse.Namespace) -> str:
    words = ["experiment-profiler", "run", "--config", options.config]
    words += ["--output-dir", options.output_dir, "--resume"]
    if options.client != "auto":
        words += ["--client", options.client]
    if options.budget_usd is not None:
        words += ["--budget-usd", options.budget_usd]
    if options.baseline is not None:
        words += ["--baseline", options.baseline]
    words += ["--intersection"] * options.intersection
    return shlex.join(map(str, words))
