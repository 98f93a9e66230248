"""What a command line orders for a manifest: client, budget, baseline, plan, run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_experiment_profiler import clients, launch
from pytest_experiment_profiler.dialogues import read_dialogues
from pytest_experiment_profiler.errors import UsageError
from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.metrics.own import REPLACEABLE
from pytest_experiment_profiler.models import find_deprecation
from pytest_experiment_profiler.selection import names_manifest
from pytest_experiment_profiler.summary import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_experiment_profiler.budget import Ledger
    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Client, Metric
    from pytest_experiment_profiler.loop import LoopThread
    from pytest_experiment_profiler.manifest import Checked
    from pytest_experiment_profiler.scored import RunScores

PLUGIN = "pytest_experiment_profiler.plugin"

BUDGET = pytest.StashKey["Ledger | None"]()
"""What all runs of a session may spend together."""


class Ordered(Protocol):
    """A manifest's node."""

    config: pytest.Config
    session: pytest.Session
    checked: Checked
    own_metrics: Mapping[str, Metric]
    path: Path

    @property
    def ihook(self) -> Any:  # noqa: ANN401 -- pluggy's caller of hooks
        """Call the hooks of the conftest files around the manifest."""
        ...


def start_run(
    file: Ordered, client: Client, loop: LoopThread, selected: tuple[str, ...] | None
) -> Run:
    """Start the calls of a manifest, for `selected` dialogues or all.

    Raise ExperimentError where that can't be.
    """
    config = file.config
    ours = clients.name_client(client) in clients.CLIENTS
    choice = choose_client(file) if ours else None
    setting = launch.Setting(
        client=client,
        why=choice.why if choice else f"model_client of {_find_override(file)}",
        base_url=choice.base_url if choice else None,
        output=_output(file),
        loop=loop,
        own_metrics=file.own_metrics,
        resume=config.getoption("--experiment-resume"),
        session=_workers(config).get("testrunuid"),
        selected=selected,
        budget=file.session.stash[BUDGET],
        counted=config.getoption("--experiment-resume"),
        baseline=find_baseline(file, selected),
        intersection=config.getoption("--experiment-intersection"),
    )
    return launch.start_run(file.checked, setting)


def choose_client(file: Ordered) -> clients.Choice:
    """Settle which of the plugin's clients answers for a manifest; raise UsageError if none can."""
    asked = file.config.getoption("--experiment-client")
    return clients.choose_client(asked, file.checked.experiment, os.environ)


def describe_client(file: Ordered) -> list[str]:
    """Say which client answers, and what its model's maker says of the model."""
    own = _find_override(file)
    warnings = [f"warning: {file.path.name}: {text}" for text in file.checked.warnings]
    if own is not None:
        return [f"client: model_client of {own}", *warnings]
    choice = choose_client(file)
    deprecation = find_deprecation(file.checked.experiment.model)
    if deprecation and choice.name == "anthropic":
        warnings.append(f"warning: {deprecation}")
    return [str(choice), *warnings]


def _find_override(file: Ordered) -> str | None:
    """Name what makes its own client for a manifest: the nearest conftest.py, else a plugin.

    Of plugins the one that was registered last has its way, as with all fixtures.
    """
    makers: list[Any] = [
        plugin
        for _, plugin in file.config.pluginmanager.list_name_plugin()
        if isinstance(plugin, ModuleType) and hasattr(plugin, "model_client")
    ]
    paths = [Path(maker.__file__ or "") for maker in makers]
    around = [p for p in paths if p.name == "conftest.py" and file.path.is_relative_to(p.parent)]
    if around:
        nearest = max(around, key=lambda path: len(path.parts))
        return os.path.relpath(nearest, file.config.invocation_params.dir)
    pairs = zip(makers, paths, strict=True)
    last = [maker.__name__ for maker, path in pairs if path.name != "conftest.py"][-1]
    return None if last == PLUGIN else last


def describe_plan(file: Ordered, selected: tuple[str, ...] | None) -> list[str]:
    """Say what the run of a manifest, or of `selected` dialogues, would send and cost."""
    from pytest_experiment_profiler.plan import plan_run  # noqa: PLC0415 -- plans are rare

    experiment, resume = file.checked.experiment, file.config.getoption("--experiment-resume")
    folder = _output(file) / experiment.experiment_id
    client = None if _find_override(file) else choose_client(file).name
    plan = plan_run(experiment, client, folder, resume=resume, selected=selected)
    return [f"{experiment.experiment_id}: {line}" for line in plan.lines()]


def find_baseline(file: Ordered, selected: tuple[str, ...] | None) -> RunScores | None:
    """Read the run to compare with, if one was named; raise UsageError if it can't be compared."""
    path = file.config.getoption("--experiment-baseline")
    if path is None:
        return None
    from pytest_experiment_profiler import comparison, scored  # noqa: PLC0415 -- baselines are rare

    experiment = file.checked.experiment
    baseline = scored.find_baseline(
        Path(file.config.invocation_params.dir, path), experiment.experiment_id
    )
    dialogues = read_dialogues(experiment.dataset_path)
    wanted = None if selected is None else frozenset(selected)
    comparison.check_comparable(
        baseline,
        experiment,
        (d for d in dialogues if wanted is None or d.dialogue_id in wanted),
        name_definitions(),
        intersection=file.config.getoption("--experiment-intersection"),
    )
    return baseline


def _output(file: Ordered) -> Path:
    return Path(file.config.invocation_params.dir, file.config.getoption("--experiment-output"))


def open_budget(
    session: pytest.Session, chosen: Iterable[tuple[Ordered, tuple[str, ...] | None]]
) -> None:
    """Open what a session may spend, once, divided among the workers that ask.

    `chosen` are the manifests with their dialogues, of which a resumed one has spent already.
    """
    if BUDGET in session.stash:
        return
    usd = session.config.getoption("--experiment-budget-usd")
    resume = usd is not None and session.config.getoption("--experiment-resume")
    folders = (
        launch.find_earlier(_output(file) / file.checked.experiment.experiment_id, selected)
        for file, selected in (chosen if resume else ())
    )
    earlier = dict.fromkeys(folder for folder in folders if folder)
    # What a crashed worker spent of its part nobody knows: the one in its place spends nothing.
    share = 0.0 if _workers(session.config).get("experiment_crashed") else find_share(session)
    budget: Ledger | None = launch.open_budget(usd, earlier, share)
    session.stash[BUDGET] = budget


def find_share(session: pytest.Session) -> float:
    """Tell which part of the session's budget and rate limits is ours: a worker's, or all.

    A manifest stays in one worker, so no more of them ask than there are manifests.
    """
    manifests = {item.path for item in session.items if names_manifest(item.nodeid)}
    workers: int = _workers(session.config).get("workercount", 1)
    return 1 / max(1, min(len(manifests), workers))


def _workers(config: pytest.Config) -> dict[str, Any]:
    """Tell what pytest-xdist tells a worker; nothing where it is not at work."""
    return getattr(config, "workerinput", {})


def find_own_metrics(hook: Any) -> dict[str, Metric]:  # noqa: ANN401 -- pluggy's caller of hooks
    """Ask the hooks around a manifest for own metrics; raise UsageError where one can't be."""
    metrics: dict[str, Metric] = {}
    for found in hook.pytest_experiment_metrics():
        if not isinstance(found, Mapping):
            kind = type(found).__name__
            raise UsageError(f"pytest_experiment_metrics gives functions by name, not {kind}")
        for name, metric in found.items():
            if not isinstance(name, str) or not name.strip() or not name.isprintable():
                raise UsageError(f"an own metric's name is a word, not {name!r}")
            taken = RESERVED | METRICS.keys() | metrics.keys()
            if name in taken and (name in metrics or name != REPLACEABLE):
                raise UsageError(f"an own metric can't be named {name!r}: the name is taken")
            if not callable(metric):
                raise UsageError(f"the own metric {name!r} is no function")
            metrics[name] = metric
    return metrics
