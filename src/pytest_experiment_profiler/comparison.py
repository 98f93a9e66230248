"""Two run folders → the dialogues that both hold, and what changed between them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.contrasts import (
    BOTH,
    COVERAGE,
    REFUSALS,
    Contrast,
    Pair,
    contrast_all,
    judge_all,
)
from pytest_experiment_profiler.errors import UsageError
from pytest_experiment_profiler.scored import RunScores, Scored, hash_content, read_scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_experiment_profiler.experiment import Dialogue, Experiment
    from pytest_experiment_profiler.records import Record

SETTINGS = {
    COVERAGE: ("definitions_version", "fact_mode"),
    REFUSALS: ("definitions_version", "detector", "refusal_patterns"),
    BOTH: ("definitions_version", "fact_mode", "detector", "refusal_patterns"),
}
"""What must agree for a metric to mean the same in both runs."""

FEW_NAMES = 3
RESCORING = "score both anew: experiment-profiler summarize --rescore --log-dir FOLDER"
SETTING = "make both runs with the same facts and refusals in the manifest"
INTERSECTION = "--experiment-intersection, in the shell --intersection, compares what both share"


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
            d.dialogue_id: Scored(content=hash_content(d), complete=True, units={})
            for d in dialogues
        },
    )
    _find_obstacles(baseline, candidate, candidate.gates, intersection=intersection)


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
    if obstacles and not intersection:
        raise UsageError(
            f"{candidate.folder} can't be compared with {baseline.folder}: "
            f"{'; '.join(obstacles)} ({_advise(metrics, clashes)})"
        )
    return metrics, obstacles


def _advise(metrics: Sequence[str], clashes: Sequence[str]) -> str:
    if any("definitions_version" in clash for clash in clashes):
        return RESCORING
    return INTERSECTION if metrics else SETTING


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
    gated = SETTINGS.keys() & gates.keys()
    for metric in sorted((measured | gated) - _failed(baseline) - _failed(candidate)):
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
    return {*run.metrics} | (own - {*SETTINGS})


def _failed(run: RunScores) -> set[str]:
    return {*run.failed} | ({BOTH} if REFUSALS in run.failed else set())


def _failures(baseline: RunScores, candidate: RunScores) -> Iterator[str]:
    for run, which in ((baseline, "baseline"), (candidate, "candidate")):
        for metric in sorted(run.failed):
            yield f"{metric}, which failed in the {which}"
