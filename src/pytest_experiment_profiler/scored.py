"""A run folder's scores → what each of its dialogues adds to every metric."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.contrasts import COVERAGE, REFUSALS
from pytest_experiment_profiler.errors import RunFolderError, UsageError
from pytest_experiment_profiler.metrics.scores import parse_own
from pytest_experiment_profiler.records import dialogue_record, parse_dialogue
from pytest_experiment_profiler.runfolder import parse_records, read_run, tell_foreign
from pytest_experiment_profiler.statistics import Unit, join_repeats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Dialogue
    from pytest_experiment_profiler.metrics.own import Own
    from pytest_experiment_profiler.records import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """One dialogue of a run: a hash of its content, and its part of each metric."""

    content: str
    complete: bool
    units: Mapping[str, Unit]


class _Repeat(NamedTuple):
    """What one line of scores.jsonl counts."""

    complete: bool
    facts: tuple[int, int]
    refusals: tuple[int, int]
    own: Own


@dataclass(frozen=True, kw_only=True, slots=True)
class RunScores:
    """All that a comparison needs of a run; `failed` are own metrics that have an error."""

    folder: Path
    metrics: tuple[str, ...]
    failed: frozenset[str] = frozenset()
    settings: Mapping[str, Any]
    gates: Mapping[str, Any]
    dialogues: Mapping[str, Scored]


def find_baseline(path: Path, experiment_id: str) -> RunScores:
    """Read the run that a path names: a run folder, or one below it of the experiment's name.

    Raise UsageError where there is none, or none that is whole.
    """
    below = path / experiment_id
    return read_baseline(below if (below / "run.json").exists() else path)


def read_baseline(folder: Path) -> RunScores:
    """Read a run that others are compared with; raise UsageError where it is not whole."""
    try:
        status = json.loads((folder / "summary.json").read_text("utf-8"))["status"]
        scores = read_scores(folder)
    except (OSError, ValueError, KeyError, TypeError, RunFolderError) as error:
        raise UsageError(f"{folder} is no baseline: no whole run folder ({error})") from error
    if status != "complete":
        raise UsageError(f"{folder} is no baseline: its run is {status}")
    return scores


def read_scores(folder: Path) -> RunScores:
    """Read what a run folder says of its dialogues; raise RunFolderError where it is no run."""
    run = read_run(folder)
    repeats: dict[str, list[_Repeat]] = defaultdict(list)
    for dialogue_id, repeat in parse_records(folder / "scores.jsonl", _repeat):
        repeats[dialogue_id].append(repeat)
    dialogues = parse_records(folder / "dialogues.jsonl", parse_dialogue)
    try:
        experiment = run["experiment"]
        settings = {key: experiment[key] for key in ("fact_mode", "detector", "refusal_patterns")}
        metrics, gates = tuple(experiment["metrics"]), experiment["gates"]
    except (KeyError, TypeError) as error:
        raise RunFolderError(f"{folder / 'run.json'} doesn't say {error}") from error
    return RunScores(
        folder=folder,
        metrics=metrics,
        failed=frozenset(n for held in repeats.values() for r in held for n in r.own.errors),
        settings=settings | {"definitions_version": _definitions_version(folder, run)},
        gates=gates,
        dialogues={d.dialogue_id: _scored(d, repeats[d.dialogue_id]) for d in dialogues},
    )


def _repeat(record: Record) -> tuple[str, _Repeat]:
    found = [fact["found"] for fact in record["facts"]]
    refused = [refusal["label"] == "full" for refusal in record["refusal"]]
    return record["dialogue_id"], _Repeat(
        complete=record["outcome"] == "ok",
        facts=(sum(found), len(found)),
        refusals=(sum(refused), len(refused)),
        own=parse_own(record),
    )


def _definitions_version(folder: Path, run: Record) -> object:
    """Tell by which definitions a run was last scored: rescoring leaves run.json as it was."""
    path = folder / "summary.json"
    try:
        sources = [json.loads(path.read_text("utf-8")), run] if path.exists() else [run]
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} can't be read: {error}") from error
    with tell_foreign(f"{path} and run.json"):
        versions = [source["provenance"].get("definitions_version") for source in sources]
    return next((version for version in versions if version is not None), None)


def _scored(dialogue: Dialogue, repeats: Sequence[_Repeat]) -> Scored:
    cluster = dialogue.extra.get("cluster")
    name = None if cluster is None else str(cluster)
    names = {name for repeat in repeats for name in repeat.own.values}
    units = {
        COVERAGE: _coverage([repeat.facts for repeat in repeats if repeat.complete]),
        REFUSALS: Unit(*_add_up([repeat.refusals for repeat in repeats])),
        **{own: join_repeats(repeat.own.values.get(own) for repeat in repeats) for own in names},
    }
    return Scored(
        content=hash_content(dialogue),
        complete=any(repeat.complete for repeat in repeats),
        units={metric: unit._replace(cluster=name) for metric, unit in units.items()},
    )


def hash_content(dialogue: Dialogue) -> str:
    """Name what a dialogue asks and expects by its SHA-256."""
    values = dialogue_record(dialogue)
    content = [dialogue.system, dialogue.turns, values["required_facts"]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _add_up(counts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(part for part, _ in counts), sum(whole for _, whole in counts)


def _coverage(repeats: Sequence[tuple[int, int]]) -> Unit:
    found, expected = _add_up(repeats)
    return Unit(Fraction(found, expected), 1, expected) if expected else Unit(0, 0)
