"""The plugin's own hooks, for conftest.py and for other plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_experiment_profiler.experiment import Experiment, Metric, Transcript

hookspec = pluggy.HookspecMarker("pytest")


@hookspec
def pytest_experiment_metrics() -> Mapping[str, Metric]:  # type: ignore[empty-body]
    """Return own metrics by name: functions of one transcript."""


@hookspec
def pytest_experiment_dialogue(experiment: Experiment, transcript: Transcript) -> None:
    """Look at one dialogue when it is done, in dataset order."""


@hookspec
def pytest_experiment_summary(experiment: Experiment, summary: dict[str, Any]) -> None:
    """Look at what `summary.json` is going to say; keys may be added."""
