"""`summarize`: the table of a run folder, recomputed from its logs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pytest_experiment_profiler import documents
from pytest_experiment_profiler.commands.output import FAILED, WELL, say
from pytest_experiment_profiler.errors import ManifestError, Problem, RunFolderError
from pytest_experiment_profiler.metrics import read_answers
from pytest_experiment_profiler.metrics.scores import own_values, score_record
from pytest_experiment_profiler.provenance import parse_experiment
from pytest_experiment_profiler.reports.formats import REPORTS
from pytest_experiment_profiler.reports.html import write_html
from pytest_experiment_profiler.runlog import (
    encode,
    lock,
    read_records,
    read_run,
    read_transcripts,
    write_whole,
)
from pytest_experiment_profiler.summary import Summary, Tally, summarize, summary_record
from pytest_experiment_profiler.verdict import judge_summary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


def summarize_folder(options: argparse.Namespace) -> int:
    """Print what a run folder's logs say, by today's definitions."""
    try:
        return _summarize(options, options.log_dir)
    except KeyError as error:
        raise RunFolderError(f"{options.log_dir / 'run.json'} doesn't say {error}") from error


def _summarize(options: argparse.Namespace, folder: Path) -> int:
    gates = _read_gates(options.gates) if options.gates else read_run(folder)["experiment"]["gates"]
    summary, scores = read_summary(folder)
    summary = judge_summary(summary, folder, gates, None)
    values = summary_record(summary)
    if options.rescore:
        with lock(folder):
            write_whole(folder / "scores.jsonl", scores)
            write_whole(folder / "summary.json", encode(values))
    say(REPORTS[options.format](values))
    if options.html is not None:
        write_html(folder, options.html)
    if options.rescore:
        sys.stderr.write(
            f"rescored {folder} by the definitions {values['provenance']['definitions_version']}\n"
        )
    broken = bool(options.gates) and any(not gate["holds"] for gate in values["gates"])
    return FAILED if broken else WELL


def read_summary(folder: Path) -> tuple[Summary, bytes]:
    """Sum up a run folder from its logs, and give the lines of its scores.

    Values of own metrics, whose functions aren't known here, are taken from scores.jsonl.
    """
    run = read_run(folder)
    experiment = parse_experiment(run["experiment"])
    tally = Tally(priced=run["client"] != "mock")
    own = {(s["dialogue_id"], s["repeat"]): own_values(s) for s in _read_scores(folder)}
    lines: list[bytes] = []
    for transcripts in read_transcripts(folder, repeats=experiment.repeats):
        read = [read_answers(transcript, experiment) for transcript in transcripts]
        values = [own.get((t.dialogue.dialogue_id, t.repeat), {}) for t in read]
        tally.add(read, values)
        pairs = zip(read, values, strict=True)
        lines += [encode(score_record(transcript, value)) for transcript, value in pairs]
    return summarize(run, tally), b"".join(lines)


def _read_scores(folder: Path) -> list[dict[str, Any]]:
    path = folder / "scores.jsonl"
    return list(read_records(path)) if path.exists() else []


def _read_gates(path: Path) -> Mapping[str, Any]:
    """Read a YAML file with a `gates:` key as in a manifest; raise ManifestError if it is wrong."""
    try:
        document = documents.load_yaml(path.read_text("utf-8-sig"))
    except documents.DocumentError as error:
        raise ManifestError([Problem(path, *error.place, str(error))]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError([Problem(path, 1, 1, f"can't be read: {error}")]) from error
    faults = documents.check(document.values, "gates")
    if faults:
        problems = [Problem(path, *document.place(fault), fault.message) for fault in faults]
        raise ManifestError(problems)
    gates: Mapping[str, Any] = json.loads(json.dumps(document.values["gates"]))
    return gates
