"""A manifest on disk → an Experiment, or every problem of it and of its dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler import dialogues, documents, validation
from pytest_experiment_profiler.doubts import Doubts
from pytest_experiment_profiler.errors import ManifestError, Problem
from pytest_experiment_profiler.experiment import Budget, Experiment
from pytest_experiment_profiler.gates import find_unknown
from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.metrics.own import REPLACEABLE
from pytest_experiment_profiler.metrics.patterns import check_pattern
from pytest_experiment_profiler.models import load_models, takes_temperature
from pytest_experiment_profiler.reports.plain import make_plain, shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

METRIC_NAMES = ("fact_coverage", "geometric_mean", "refusal_rate")


class Checked(NamedTuple):
    """An experiment, the line of each dialogue id in its dataset, when that was written, doubts."""

    experiment: Experiment
    lines: Mapping[str, int]
    stamp: tuple[int, int]
    warnings: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Tell whether the dataset is still the one that was looked through."""
        return _stamp(self.experiment.dataset_path) == self.stamp


def check_manifest(
    path: Path,
    fallback: Path,
    own_metrics: Collection[str] = (),
    taken: Mapping[str, Path] = MappingProxyType({}),
) -> Checked:
    """Read a manifest and look through its dataset.

    Paths in it are tried relative to its folder, then to `fallback`; its gates may name
    `own_metrics`, too; `taken` are the ids of other manifests. Raise ManifestError with all
    problems of both files.
    """
    document = _read_document(path)
    faults = [*document.faults, *validation.check(document.values, "manifest")]
    if not isinstance(document.values, dict):
        raise ManifestError(_problems(path, document, faults))
    values = document.values
    faults += [*_metric_faults(values), *_temperature_faults(values)]
    faults += _find_taken(values.get("experiment_id"), path, taken)
    faults += find_unknown(values.get("gates"), {*METRIC_NAMES, *METRICS, *own_metrics})
    dataset, missing = _find(values.get("dataset_path"), "dataset_path", path, fallback)
    faults += missing
    mock, missing = _find(values.get("mock_responses"), "mock_responses", path, fallback)
    faults += missing
    problems = _problems(path, document, faults)
    lines: dict[str, int] = {}
    doubts = Doubts()
    stamp = _stamp(dataset) if dataset else (0, 0)
    if dataset is not None:
        found, lines = dialogues.check_dataset(dataset, check_pattern, doubts.look_at)
        problems += found
        default = dataset.parent / "mock_responses.json"
        mock = mock or (default if default.is_file() else None)
    if problems or dataset is None:
        raise ManifestError(problems)
    experiment = _experiment(values, path, dataset, mock)
    if REPLACEABLE in own_metrics:
        experiment = replace(experiment, detector="own")
    return Checked(
        experiment=experiment,
        lines=lines,
        stamp=stamp,
        warnings=tuple(doubts.lines()),
    )


def _stamp(path: Path) -> tuple[int, int]:
    """Give a file's time of change in nanoseconds and its size in bytes; zeros if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def load_experiment(path: Path, fallback: Path | None = None) -> Experiment:
    """Read and check a manifest; `fallback` (default: the current folder) is tried for its paths.

    Raise ManifestError with all problems.
    """
    return check_manifest(path, fallback or Path.cwd()).experiment


def _read_document(path: Path) -> documents.Document:
    try:
        return documents.load_yaml(path.read_text("utf-8-sig"))
    except documents.DocumentError as error:
        raise ManifestError([Problem(path, *error.place, str(error))]) from error
    except UnicodeDecodeError as error:
        place, message = documents.find_bad_text(path)
        raise ManifestError([Problem(path, *place, message)]) from error
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        hint = validation.find_near(path.name, _names(path.parent)) if missing else ""
        message = f"can't be read: {error.strerror or error}{hint}"
        raise ManifestError([Problem(path, 1, 1, message)]) from error


def _problems(
    path: Path, document: documents.Document, faults: list[documents.Fault]
) -> list[Problem]:
    unread = {fault.steps for fault in document.faults if not fault.own_place}
    told = (f for f in faults if f in document.faults or f.steps not in unread)
    placed = sorted({(document.place(fault), fault.message) for fault in told})
    return [Problem(path, place.line, place.column, message) for place, message in placed]


def _find_taken(
    experiment_id: object, path: Path, taken: Mapping[str, Path]
) -> Iterator[documents.Fault]:
    first = taken.get(experiment_id) if isinstance(experiment_id, str) else None
    if first not in {None, path}:
        message = f"experiment_id {experiment_id!r} is taken by {first}: each needs its own"
        yield documents.Fault(("experiment_id",), message)


def _metric_faults(values: Mapping[str, Any]) -> Iterator[documents.Fault]:
    names = values.get("metrics")
    if not isinstance(names, list) or "geometric_mean" not in names:
        return
    lacking = [name for name in METRIC_NAMES if name not in names]
    if lacking:
        message = f"geometric_mean needs {' and '.join(lacking)} beside it"
        yield documents.Fault(("metrics", names.index("geometric_mean")), message)


def _temperature_faults(values: Mapping[str, Any]) -> Iterator[documents.Fault]:
    model, temperature = values.get("model"), values.get("temperature")
    if not isinstance(model, str) or temperature is None or temperature == 1:
        return
    if takes_temperature(model) is False:
        accepting = ", ".join(load_models()["temperature"]["accepted"])
        message = f"{model} takes no temperature; leave it out, or take one of {accepting}"
        yield documents.Fault(("temperature",), message)


def _find(
    text: object, key: str, path: Path, fallback: Path
) -> tuple[Path | None, list[documents.Fault]]:
    if not isinstance(text, str) or not text.strip():
        return None, []
    tried = list(dict.fromkeys([path.parent / text, fallback / text]))
    denied = ""
    for candidate in tried:
        try:
            if candidate.is_file():
                return Path(candidate.resolve()), []
        except (OSError, ValueError) as error:
            denied = f" ({getattr(error, 'strerror', None) or error})"
    if denied:
        hint = denied
    elif any(_is_folder(candidate) for candidate in tried):
        hint = " (it is a folder)"
    else:
        hint = validation.find_near(Path(text).name, _names(tried[0].parent))
    places = ", ".join(str(path) for path in tried)
    message = f"no such file: {shorten(text, 200)}{hint}; tried {shorten(places, 1000)}"
    return None, [documents.Fault((key,), make_plain(message))]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except (OSError, ValueError):
        return []


def _experiment(
    values: Mapping[str, Any], path: Path, dataset: Path, mock: Path | None
) -> Experiment:
    budget = values.get("budget", {})
    refusals = values.get("refusals", {})
    return Experiment(
        experiment_id=values["experiment_id"],
        model=values["model"],
        max_tokens=values["max_tokens"],
        temperature=_temperature(values),
        path=path,
        dataset_path=dataset,
        mock_responses=mock,
        metrics=_metrics(values.get("metrics", METRIC_NAMES)),
        system=values.get("system"),
        output_fields=tuple(values.get("output_fields", ("completion", "metadata"))),
        concurrency=values.get("concurrency", 16),
        timeout_s=float(values.get("timeout", 600)),
        budget=Budget(usd=budget.get("usd"), tokens=budget.get("tokens")),
        repeats=values.get("repeats", 1),
        fact_mode=values.get("facts", {}).get("match", "lenient"),
        detector=refusals.get("detector", "text"),
        refusal_patterns=tuple(refusals.get("patterns", ())),
        gates=values.get("gates", {}),
    )


def _temperature(values: Mapping[str, Any]) -> float | None:
    """Leave out what is the default of a model that takes nothing else."""
    if takes_temperature(values["model"]) is False:
        return None
    temperature: float | None = values.get("temperature")
    return temperature


def _metrics(names: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    both = {"fact_coverage", "refusal_rate"} <= set(names)
    return tuple(sorted({*names, "geometric_mean"} if both else names))
