"""Where a run comes from: what run.json says before the first call."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_experiment_profiler.experiment import Budget, Experiment

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_experiment_profiler.records import Record


def describe_run(
    experiment: Experiment,
    *,
    client: str,
    base_url: str | None,
    dialogues: int,
    selected: Collection[str] | None,
) -> Record:
    """Say what is about to run; `selected` are dialogue ids, None: all `dialogues`."""
    packages = ["pytest-experiment-profiler"] + ["anthropic"] * (client == "anthropic")
    return {
        "schema_version": 1,
        "client": client,
        "base_url": base_url,
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "experiment": experiment_record(experiment),
        "selection": {
            "dialogues": dialogues,
            "selected": dialogues if selected is None else len(selected),
            "ids": None if selected is None else sorted(selected),
        },
        "provenance": {
            "manifest": str(experiment.path),
            "manifest_sha256": _hash(experiment.path),
            "dataset": str(experiment.dataset_path),
            "dataset_sha256": _hash(experiment.dataset_path),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": {name: version(name) for name in packages},
        },
    }


def experiment_record(experiment: Experiment) -> Record:
    """Say all of an experiment that a run folder needs to be read again."""
    return {
        "experiment_id": experiment.experiment_id,
        "model": experiment.model,
        "max_tokens": experiment.max_tokens,
        "temperature": experiment.temperature,
        "path": str(experiment.path),
        "dataset_path": str(experiment.dataset_path),
        "mock_responses": str(experiment.mock_responses) if experiment.mock_responses else None,
        "metrics": list(experiment.metrics),
        "system": experiment.system,
        "output_fields": list(experiment.output_fields),
        "concurrency": experiment.concurrency,
        "timeout_s": experiment.timeout_s,
        "budget": {"usd": experiment.budget.usd, "tokens": experiment.budget.tokens},
        "repeats": experiment.repeats,
        "fact_mode": experiment.fact_mode,
        "detector": experiment.detector,
        "refusal_patterns": list(experiment.refusal_patterns),
        "gates": dict(experiment.gates),
    }


def parse_experiment(values: Record) -> Experiment:
    """Read an experiment back from its record."""
    mock = values["mock_responses"]
    lists = ("metrics", "output_fields", "refusal_patterns")
    return Experiment(
        **(
            values
            | {key: tuple(values[key]) for key in lists}
            | {key: Path(values[key]) for key in ("path", "dataset_path")}
            | {"mock_responses": Path(mock) if mock else None, "budget": Budget(**values["budget"])}
        )
    )


def _hash(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
