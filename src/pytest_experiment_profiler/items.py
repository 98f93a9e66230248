"""How pytest sees an experiment: a manifest is a file, an experiment an item of it."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler import clients, comparison, launch, manifest
from pytest_experiment_profiler.dialogues import read_dialogues
from pytest_experiment_profiler.errors import ExperimentError, ManifestError, UsageError
from pytest_experiment_profiler.metrics import METRICS
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.models import find_deprecation
from pytest_experiment_profiler.plan import plan_run
from pytest_experiment_profiler.reports.failure import explain_failure
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.reports.progress import StatusLine
from pytest_experiment_profiler.summary import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_experiment_profiler.budget import Ledger
    from pytest_experiment_profiler.comparison import RunScores
    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Client, Metric, Transcript
    from pytest_experiment_profiler.loop import LoopThread

MANIFESTS = pytest.StashKey[dict[str, Path]]()
"""The manifest of each experiment id that was collected in a session."""

BUDGET = pytest.StashKey["Ledger | None"]()
"""What all runs of a session may spend together."""


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
    failed, not_run = 0, 0
    for transcripts in take_transcripts(item, experiment_run):
        item.current = transcripts
        outcomes = {transcript.outcome for transcript in transcripts}
        failed += "error" in outcomes or bool(experiment_run.judge(transcripts))
        not_run += outcomes == {"not_run"}
        with subtests.test(transcripts[0].dialogue.dialogue_id):
            judge_dialogue(experiment_run, transcripts)
    item.current = None
    lines = [*finish_run(item, experiment_run), *_verdict(experiment_run, failed, not_run)]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def take_transcripts(item: pytest.Item, run: Run) -> Iterator[list[Transcript]]:
    """Take a run's transcripts, show how it stands meanwhile, and let the hooks see each."""
    status = _open_status(item.config)
    silent = item.config.get_verbosity(pytest.Config.VERBOSITY_SUBTESTS) == 0
    try:
        for transcripts in run.take_transcripts(lambda: status.show(run.standing())):
            if not (silent and all(t.outcome == "ok" for t in transcripts)):
                status.clear()
            for transcript in transcripts:
                item.ihook.pytest_experiment_dialogue(
                    experiment=run.experiment, transcript=transcript
                )
            yield transcripts
            status.show(run.standing())
        status.clear()
    except KeyboardInterrupt:
        run.stop("interrupted")
        raise pytest.exit.Exception("interrupted", returncode=2) from None


def _open_status(config: pytest.Config) -> StatusLine:
    """Make the line that shows how a run stands; silent where nobody sees it or wants it."""
    plugins = config.pluginmanager
    quiet = config.get_verbosity() < 0 or hasattr(config, "workerinput")
    if quiet or not plugins.hasplugin("terminalreporter"):
        return StatusLine(write=None)
    capture: Any = plugins.getplugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stdout.write(text)
            sys.stdout.flush()

    # pytest's writer keeps count of what stands in its line, so ours goes beside it.
    writer = config.get_terminal_writer()
    return StatusLine(
        write=write,
        is_terminal=writer.hasmarkup and os.environ.get("TERM") != "dumb",
        column=lambda: writer.width_of_current_line,
        width=lambda: writer.fullwidth,
    )


def start_run(file: ManifestFile, client: Client, loop: LoopThread) -> Run:
    """Start the calls of a manifest; raise ExperimentError where that can't be."""
    ours = clients.name_client(client) in clients.CLIENTS
    config = file.config
    setting = launch.Setting(
        client=client,
        base_url=choose_client(file).base_url if ours else None,
        output=_output(file),
        loop=loop,
        own_metrics=_own_metrics(file),
        resume=config.getoption("--experiment-resume"),
        budget=_session_budget(file),
        baseline=find_baseline(file),
        intersection=config.getoption("--experiment-intersection"),
    )
    return launch.start_run(file.checked, setting)


def choose_client(file: ManifestFile) -> clients.Choice:
    """Settle which of the plugin's clients answers for a manifest; raise UsageError if none can."""
    asked = file.config.getoption("--experiment-client")
    return clients.choose_client(asked, file.checked.experiment, os.environ)


def describe_client(file: ManifestFile) -> list[str]:
    """Say which client answers, and what its model's maker says of the model."""
    choice = choose_client(file)
    deprecation = find_deprecation(file.checked.experiment.model)
    return [str(choice), *([deprecation] if deprecation and choice.name == "anthropic" else [])]


def describe_plan(file: ManifestFile) -> list[str]:
    """Say what a manifest's run would send and cost."""
    experiment, resume = file.checked.experiment, file.config.getoption("--experiment-resume")
    folder = _output(file) / experiment.experiment_id
    plan = plan_run(experiment, choose_client(file).name, folder, resume=resume)
    return [f"{experiment.experiment_id}: {line}" for line in plan.lines()]


def find_baseline(file: ManifestFile) -> RunScores | None:
    """Read the run to compare with, if one was named; raise UsageError if it can't be compared."""
    path = file.config.getoption("--experiment-baseline")
    if not path:
        return None
    experiment = file.checked.experiment
    baseline = comparison.find_baseline(
        Path(file.config.invocation_params.dir, path), experiment.experiment_id
    )
    comparison.check_comparable(
        baseline,
        experiment,
        read_dialogues(experiment.dataset_path),
        name_definitions(),
        intersection=file.config.getoption("--experiment-intersection"),
    )
    return baseline


def _output(file: ManifestFile) -> Path:
    return Path(file.config.invocation_params.dir, file.config.getoption("--experiment-output"))


def _session_budget(file: ManifestFile) -> Ledger | None:
    stash = file.session.stash
    if BUDGET not in stash:
        stash[BUDGET] = launch.open_budget(file.config.getoption("--experiment-budget-usd"))
    return stash[BUDGET]


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


def finish_run(node: pytest.Item | pytest.Collector, run: Run) -> list[str]:
    """End a run and let the hooks see its summary; return what could not be read or written."""
    hook = node.ihook
    try:
        run.finish(lambda s: hook.pytest_experiment_summary(experiment=run.experiment, summary=s))
    except ExperimentError as error:
        return [make_plain(str(error))]
    return []


def _verdict(run: Run, failed: int, not_run: int) -> Iterator[str]:
    total = run.record["selection"]["selected"]
    if failed:
        yield f"{failed} of {total} dialogues failed"
    if not_run:
        yield f"{not_run} of {total} dialogues were not run: {run.progress.stopped}"
    for gate in run.summary.gates if run.summary else ():
        if not gate["holds"]:
            yield f"gate: {gate['sentence']}"
