"""`summarize`: the table of a run folder, recomputed from its logs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler import documents, validation
from pytest_experiment_profiler.commands.output import FAILED, WELL, say
from pytest_experiment_profiler.comparison import parse_comparison
from pytest_experiment_profiler.errors import ManifestError, Problem, RunFolderError, UsageError
from pytest_experiment_profiler.gates import find_unknown, judge_dialogue
from pytest_experiment_profiler.metrics import open_readers, read_all
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.metrics.own import Own
from pytest_experiment_profiler.metrics.scores import parse_own, score_record
from pytest_experiment_profiler.provenance import parse_experiment
from pytest_experiment_profiler.reports.formats import REPORTS
from pytest_experiment_profiler.reports.html import write_html
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.runfolder import (
    lock,
    parse_records,
    read_run,
    read_transcripts,
    tell_foreign,
)
from pytest_experiment_profiler.runlog import encode, write_whole
from pytest_experiment_profiler.summary import (
    Summary,
    summarize,
    summary_record,
)
from pytest_experiment_profiler.tally import Tally, measure_dialogue
from pytest_experiment_profiler.verdict import judge_summary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from pytest_experiment_profiler.comparison import Comparison
    from pytest_experiment_profiler.records import Record


def summarize_folder(options: argparse.Namespace) -> int:
    """Print what a run folder's logs say, by today's definitions."""
    try:
        return _summarize(options, options.log_dir)
    except KeyError as error:
        lack = f"its run.json lacks {error}"
        raise RunFolderError(
            f"{options.log_dir} is no run folder of this version: {lack}"
        ) from error


class Reading(NamedTuple):
    """What a run folder's logs say: the run, each dialogue's own values, the lines of scores."""

    summary: Summary
    dialogues: Mapping[str, Mapping[str, float | None]]
    scores: bytes


def _summarize(options: argparse.Namespace, folder: Path) -> int:
    before = _read_before(folder)
    reading = read_summary(folder, reused=before.get("counts", {}).get("reused", 0))
    gates = read_run(folder)["experiment"]["gates"]
    if options.gates:
        gates = _read_gates(options.gates, reading.summary)
    comparison = _find_comparison(before, folder, gates)
    values = summary_record(judge_summary(reading.summary, gates, comparison))
    if options.rescore:
        _rewrite(folder, reading.scores, before | values)
    say(REPORTS[options.format](values))
    if options.html is not None:
        write_html(folder, options.html)
    if before.get("comparison") and comparison is None:
        baseline = make_plain(before["comparison"]["baseline"])
        say(f"no longer compared with {baseline}: that was by other definitions", sys.stderr)
    if options.rescore:
        version = values["provenance"]["definitions_version"]
        say(f"rescored {folder} by the definitions {version}", sys.stderr)
    if not options.gates:
        return WELL
    broken = list(_judge_dialogues(reading, gates))
    for line in broken:
        say(line, sys.stderr)
    return FAILED if broken or any(not gate["holds"] for gate in values["gates"]) else WELL


def _judge_dialogues(reading: Reading, gates: Mapping[str, Any]) -> Iterator[str]:
    """Say which gates for single dialogues don't hold."""
    for name, values in reading.dialogues.items():
        for result in judge_dialogue(gates, values):
            if not result.holds:
                yield make_plain(f"dialogue {name}: gate: {result.sentence}")


def _read_before(folder: Path) -> Record:
    """Read the summary that a folder holds; an empty one where it holds none."""
    try:
        before = json.loads((folder / "summary.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(before, dict):
        return {}
    parts = (before.get("counts"), before.get("provenance"), before.get("comparison") or {})
    return before if all(isinstance(part, dict) for part in parts) else {}


def _find_comparison(before: Record, folder: Path, gates: Mapping[str, Any]) -> Comparison | None:
    """Take over the comparison that a run was made with, while what it compared still holds."""
    record = before.get("comparison")
    if not record or before.get("provenance", {}).get("definitions_version") != name_definitions():
        return None
    with tell_foreign(f"{folder / 'summary.json'}, its comparison"):
        return parse_comparison(record, folder, gates)


def _rewrite(folder: Path, scores: bytes, values: Record) -> None:
    with lock(folder):
        write_whole(folder / "scores.jsonl", scores)
        write_whole(folder / "summary.json", encode(values))


def read_summary(folder: Path, *, reused: int = 0) -> Reading:
    """Sum up a run folder from its logs.

    Values of own metrics, whose functions aren't known here, are taken from scores.jsonl.
    """
    run = read_run(folder)
    with tell_foreign(f"{folder / 'run.json'}, its experiment"):
        experiment = parse_experiment(run["experiment"])
    readers, own = open_readers(experiment), _read_own(folder)
    tally = Tally(priced=run["client"] != "mock")
    lines: list[bytes] = []
    dialogues: dict[str, Mapping[str, float | None]] = {}
    for transcripts in read_transcripts(folder, repeats=experiment.repeats):
        read = read_all(transcripts, readers)
        measured = [own.get((t.dialogue.dialogue_id, t.repeat), Own()) for t in read]
        tally.add(read, measured)
        dialogues[read[0].dialogue.dialogue_id] = measure_dialogue(read, measured)
        lines += map(encode, map(score_record, read, measured))
    return Reading(summarize(run, tally, reused=reused), dialogues, b"".join(lines))


def _read_own(folder: Path) -> dict[tuple[str, int], Own]:
    path = folder / "scores.jsonl"
    if not path.exists():
        return {}
    return dict(parse_records(path, lambda s: ((s["dialogue_id"], s["repeat"]), parse_own(s))))


def _read_gates(path: Path, summary: Summary) -> Mapping[str, Any]:
    """Read a YAML file with a `gates:` key as in a manifest; raise ManifestError if it is wrong.

    It may be a manifest, of which nothing else is looked at. Raise UsageError where the gates can't
    judge, because the run is not whole.
    """
    try:
        document = documents.load_yaml(path.read_text("utf-8-sig"))
    except documents.DocumentError as error:
        raise ManifestError([Problem(path, *error.place, str(error))]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError([Problem(path, 1, 1, f"can't be read: {error}")]) from error
    values = document.values
    if isinstance(values, dict) and "experiment_id" in values:
        values = {key: value for key, value in values.items() if key == "gates"}
    faults = [*document.faults, *validation.check(values, "gates")]
    if isinstance(values, dict):
        faults += find_unknown(values.get("gates"), summary.metrics)
    if faults:
        placed = sorted((document.place(fault), fault.message) for fault in faults)
        raise ManifestError([Problem(path, *place, message) for place, message in placed])
    if summary.status != "complete":
        raise UsageError("gates judge whole runs, and in this one not all dialogues were run")
    gates: Mapping[str, Any] = json.loads(json.dumps(values["gates"]))
    return gates
