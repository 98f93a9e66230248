"""How pytest sees an experiment: a manifest is a file, an experiment an item of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler import clients, engine, manifest
from pytest_experiment_profiler.errors import ManifestError, UsageError
from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.reports.failure import explain_failure
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.summary import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Client, Metric, Transcript
    from pytest_experiment_profiler.loop import LoopThread

MANIFESTS = pytest.StashKey[dict[str, Path]]()
"""The manifest of each experiment id that was collected in a session."""


class ManifestFile(pytest.Module):
    """A manifest; nothing is imported."""

    obj = None
    checked: manifest.Checked

    def collect(self) -> Iterator[pytest.Item]:
        """Check the manifest and its dataset, and yield its experiment."""
        try:
            self.checked = manifest.check_manifest(self.path, self.config.rootpath)
        except ManifestError as error:
            raise self.CollectError(make_plain(str(error))) from None
        name = self.checked.experiment.experiment_id
        first = self.session.stash.setdefault(MANIFESTS, {}).setdefault(name, self.path)
        if first != self.path:
            raise self.CollectError(f"{self.path}: experiment_id {name!r} is taken by {first}")
        yield ExperimentItem.from_parent(self, name=name, callobj=hold_experiment)


class ExperimentItem(pytest.Function):
    """An experiment; its dialogues are subtests."""

    current: list[Transcript] | None = None

    def reportinfo(self) -> tuple[Path, int, str]:
        """Place the experiment at its manifest."""
        return self.path, 0, self.name


def hold_experiment(
    request: pytest.FixtureRequest, experiment_run: Run, subtests: pytest.Subtests
) -> None:
    """Take an experiment's transcripts in order and judge them, a subtest a dialogue."""
    item: Any = request.node
    hook = item.ihook
    failed, not_run = 0, 0
    for transcripts in experiment_run.take_transcripts():
        for transcript in transcripts:
            hook.pytest_experiment_dialogue(
                experiment=experiment_run.experiment, transcript=transcript
            )
        item.current = transcripts
        outcomes = {transcript.outcome for transcript in transcripts}
        failed += "error" in outcomes or bool(experiment_run.judge(transcripts))
        not_run += outcomes == {"not_run"}
        with subtests.test(transcripts[0].dialogue.dialogue_id):
            judge_dialogue(experiment_run, transcripts)
    item.current = None
    finish_run(item, experiment_run)
    lines = list(_verdict(experiment_run, failed, not_run))
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def start_run(file: ManifestFile, client: Client, loop: LoopThread) -> Run:
    """Start the calls of a manifest; raise ExperimentError where that can't be."""
    ours = clients.name_client(client) in clients.CLIENTS
    config = file.config
    setting = engine.Setting(
        client=client,
        base_url=choose_client(file).base_url if ours else None,
        output=Path(config.invocation_params.dir, config.getoption("--experiment-output")),
        loop=loop,
        own_metrics=_own_metrics(file),
        resume=config.getoption("--experiment-resume"),
    )
    return engine.start_run(file.checked, setting)


def choose_client(file: ManifestFile) -> clients.Choice:
    """Settle which of the plugin's clients answers for a manifest; raise UsageError if none can."""
    asked = file.config.getoption("--experiment-client")
    return clients.choose_client(asked, file.checked.experiment, os.environ)


def _own_metrics(file: ManifestFile) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    for found in file.ihook.pytest_experiment_metrics():
        for name, metric in found.items():
            if name in metrics or name in RESERVED or name in METRICS:
                raise UsageError(f"an own metric can't be named {name!r}: the name is taken")
            metrics[name] = metric
    return metrics


def judge_dialogue(run: Run, transcripts: list[Transcript]) -> None:
    """Fail or skip the current test where a dialogue errored, broke a gate or was not run."""
    failures = [t for t in transcripts if t.outcome == "error"]
    if failures:
        pytest.fail("\n\n".join(map(explain_failure, failures)), pytrace=False)
    broken = [f"gate: {result.sentence}" for result in run.judge(transcripts)]
    if broken:
        pytest.fail("\n".join([explain_failure(transcripts[-1]), *broken]), pytrace=False)
    left = [transcript.not_run for transcript in transcripts if transcript.not_run]
    if left:
        pytest.skip(f"not run: {left[0]}")


def finish_run(node: pytest.Item | pytest.Collector, run: Run) -> None:
    """End a run and let the hooks see its summary; fail where a file could not be written."""
    hook = node.ihook
    run.finish(lambda s: hook.pytest_experiment_summary(experiment=run.experiment, summary=s))


def _verdict(run: Run, failed: int, not_run: int) -> Iterator[str]:
    assert run.summary is not None  # noqa: S101 -- finish_run came before
    total = run.summary.counts["selected"]
    if failed:
        yield f"{failed} of {total} dialogues failed"
    if not_run:
        yield f"{not_run} of {total} dialogues were not run: {run.progress.stopped}"
    for gate in run.summary.gates:
        if not gate["holds"]:
            yield f"gate: {gate['sentence']}"
