"""Two run folders → the dialogues that both hold, and what changed between them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.contrasts import (
    BOTH,
    COVERAGE,
    REFUSALS,
    Contrast,
    Pair,
    contrast_all,
    judge_all,
)
from pytest_experiment_profiler.errors import RunFolderError, UsageError
from pytest_experiment_profiler.metrics.scores import parse_own
from pytest_experiment_profiler.records import dialogue_record, parse_dialogue
from pytest_experiment_profiler.runlog import read_records, read_run
from pytest_experiment_profiler.statistics import Unit, join_repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_experiment_profiler.experiment import Dialogue, Experiment
    from pytest_experiment_profiler.metrics.own import Own
    from pytest_experiment_profiler.records import Record

SETTINGS = {
    COVERAGE: ("definitions_version", "fact_mode"),
    REFUSALS: ("definitions_version", "detector", "refusal_patterns"),
    BOTH: ("definitions_version", "fact_mode", "detector", "refusal_patterns"),
}
"""What must agree for a metric to mean the same in both runs."""

FEW_NAMES = 3
INTERSECTION = "--experiment-intersection, in the shell --intersection, compares what both share"


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


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Ids of the dialogues that make no pair."""

    only_in_baseline: tuple[str, ...] = ()
    only_in_candidate: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A candidate run against its baseline; `notes` say what was left out on request."""

    baseline: Path
    candidate: Path
    pairs: int
    left_out: LeftOut
    notes: tuple[str, ...]
    metrics: Mapping[str, Contrast]


def compare_runs(
    baseline: Path,
    candidate: Path,
    *,
    gates: Mapping[str, Any] | None = None,
    intersection: bool = False,
) -> Comparison:
    """Compare two run folders; `gates` (default: the candidate's) give margins and directions.

    Raise UsageError where dialogues or definitions differ, unless the `intersection` is asked for.
    """
    return compare(
        read_scores(baseline), read_scores(candidate), gates=gates, intersection=intersection
    )


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
    for record in read_records(folder / "scores.jsonl"):
        repeats[record["dialogue_id"]].append(_repeat(record))
    dialogues = map(parse_dialogue, read_records(folder / "dialogues.jsonl"))
    try:
        experiment = run["experiment"]
        settings = {key: experiment[key] for key in ("fact_mode", "detector", "refusal_patterns")}
        metrics, gates = tuple(experiment["metrics"]), experiment["gates"]
    except KeyError as error:
        raise RunFolderError(f"{folder / 'run.json'} doesn't say {error}") from error
    return RunScores(
        folder=folder,
        metrics=metrics,
        failed=frozenset(n for held in repeats.values() for r in held for n in r.own.errors),
        settings=settings | {"definitions_version": _definitions_version(folder, run)},
        gates=gates,
        dialogues={d.dialogue_id: _scored(d, repeats[d.dialogue_id]) for d in dialogues},
    )


def check_comparable(
    baseline: RunScores,
    experiment: Experiment,
    dialogues: Iterable[Dialogue],
    definitions_version: str,
    *,
    intersection: bool,
) -> None:
    """Raise UsageError, before anything is sent, where a run could not be compared."""
    candidate = RunScores(
        folder=experiment.path,
        metrics=experiment.metrics,
        settings={
            "fact_mode": experiment.fact_mode,
            "detector": experiment.detector,
            "refusal_patterns": list(experiment.refusal_patterns),
            "definitions_version": definitions_version,
        },
        gates=experiment.gates,
        dialogues={
            d.dialogue_id: Scored(content=_hash(d), complete=True, units={}) for d in dialogues
        },
    )
    _find_obstacles(baseline, candidate, candidate.gates, intersection=intersection)


def _repeat(record: Record) -> _Repeat:
    found = [fact["found"] for fact in record["facts"]]
    refused = [refusal["label"] == "full" for refusal in record["refusal"]]
    return _Repeat(
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
        content=_hash(dialogue),
        complete=any(repeat.complete for repeat in repeats),
        units={metric: unit._replace(cluster=name) for metric, unit in units.items()},
    )


def _hash(dialogue: Dialogue) -> str:
    values = dialogue_record(dialogue)
    content = [dialogue.system, dialogue.turns, values["required_facts"]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _add_up(counts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(part for part, _ in counts), sum(whole for _, whole in counts)


def _coverage(repeats: Sequence[tuple[int, int]]) -> Unit:
    found, expected = _add_up(repeats)
    return Unit(Fraction(found, expected), 1, expected) if expected else Unit(0, 0)


def compare(
    baseline: RunScores,
    candidate: RunScores,
    *,
    gates: Mapping[str, Any] | None = None,
    intersection: bool = False,
) -> Comparison:
    """Compare two runs that were read; see `compare_runs`."""
    gates = candidate.gates if gates is None else gates
    metrics, obstacles = _find_obstacles(baseline, candidate, gates, intersection=intersection)
    ids, left_out = _match(baseline, candidate)
    old, new = baseline.dialogues, candidate.dialogues
    pairs = [Pair(name, old[name].units, new[name].units) for name in ids]
    return Comparison(
        baseline=baseline.folder,
        candidate=candidate.folder,
        pairs=len(ids),
        left_out=left_out,
        notes=(*obstacles, *_failures(baseline, candidate)),
        metrics=contrast_all(pairs, metrics, gates),
    )


def _find_obstacles(
    baseline: RunScores, candidate: RunScores, gates: Mapping[str, Any], *, intersection: bool
) -> tuple[list[str], list[str]]:
    """List the metrics to compare, and what stands in the way of the rest; or raise UsageError."""
    _, left_out = _match(baseline, candidate)
    metrics, clashes = _agreeing_metrics(baseline, candidate, gates)
    obstacles = [*_missing(left_out), *clashes]
    if obstacles and not (intersection and metrics):
        advice = INTERSECTION if metrics else "summarize --rescore both"
        raise UsageError(
            f"{candidate.folder} can't be compared with {baseline.folder}: "
            f"{'; '.join(obstacles)} ({advice})"
        )
    return metrics, obstacles


def comparison_record(comparison: Comparison) -> Record:
    """Turn a comparison into what stands in `summary.json`: the metrics by name, and the rest."""
    metrics = {
        name: asdict(metric) | {"sentence": metric.sentence}
        for name, metric in comparison.metrics.items()
    }
    return metrics | {
        "baseline": str(comparison.baseline),
        "pairs": comparison.pairs,
        "left_out": asdict(comparison.left_out),
        "notes": list(comparison.notes),
    }


def parse_comparison(record: Record, candidate: Path, gates: Mapping[str, Any]) -> Comparison:
    """Read a comparison back from `summary.json`, and judge it by these gates."""
    contrasts = {
        name: Contrast(**{f.name: _as_tuple(values[f.name]) for f in fields(Contrast)})
        for name, values in record.items()
        if isinstance(values, dict) and "verdict" in values
    }
    left_out = {name: tuple(ids) for name, ids in record["left_out"].items()}
    return Comparison(
        baseline=Path(record["baseline"]),
        candidate=candidate,
        pairs=record["pairs"],
        left_out=LeftOut(**left_out),
        notes=tuple(record["notes"]),
        metrics=judge_all(contrasts, gates),
    )


def _as_tuple(value: Any) -> Any:  # noqa: ANN401 -- the value of any field
    return tuple(value) if isinstance(value, list) else value


def _match(baseline: RunScores, candidate: RunScores) -> tuple[list[str], LeftOut]:
    """Find the dialogues that are the same and complete in both, in the candidate's order."""
    old, new = baseline.dialogues, candidate.dialogues
    both = [name for name in new if name in old]
    same = {name for name in both if old[name].content == new[name].content}
    incomplete = {name for name in same if not (old[name].complete and new[name].complete)}
    pairs = [name for name in both if name in same and name not in incomplete]
    return pairs, LeftOut(
        only_in_baseline=tuple(name for name in old if name not in new),
        only_in_candidate=tuple(name for name in new if name not in old),
        changed=tuple(name for name in both if name not in same),
        incomplete=tuple(name for name in both if name in incomplete),
    )


def _missing(left_out: LeftOut) -> Iterator[str]:
    """Say which dialogues stand in the way of a comparison; incomplete ones don't."""
    for names, what in (
        (left_out.only_in_baseline, "only in the baseline"),
        (left_out.only_in_candidate, "only in the candidate"),
        (left_out.changed, "with other content"),
    ):
        if names:
            rest = f" and {len(names) - FEW_NAMES} more" if len(names) > FEW_NAMES else ""
            dialogues = "1 dialogue" if len(names) == 1 else f"{len(names)} dialogues"
            yield f"{dialogues} {what}: {', '.join(names[:FEW_NAMES])}{rest}"


def _agreeing_metrics(
    baseline: RunScores, candidate: RunScores, gates: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """List the metrics that mean the same in both runs, and say why the others don't."""
    metrics, clashes = [], []
    measured = _measured(baseline) & _measured(candidate)
    for metric in sorted(measured | (SETTINGS.keys() & gates.keys())):
        keys = [
            key
            for key in SETTINGS.get(metric, ())
            if baseline.settings[key] != candidate.settings[key]
        ]
        if keys:
            clashes.append(f"{metric} was scored with another {' and '.join(keys)}")
        else:
            metrics.append(metric)
    return metrics, clashes


def _measured(run: RunScores) -> set[str]:
    own = {name for dialogue in run.dialogues.values() for name in dialogue.units}
    return {*run.metrics} | (own - {*SETTINGS} - run.failed)


def _failures(baseline: RunScores, candidate: RunScores) -> Iterator[str]:
    for run, which in ((baseline, "baseline"), (candidate, "candidate")):
        for metric in sorted(run.failed):
            yield f"{metric}, which failed in the {which}"
