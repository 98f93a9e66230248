"""How pytest sees an experiment: its manifest is a file, it is one item or one a dialogue."""

from __future__ import annotations

import math
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler import manifest
from pytest_experiment_profiler.documents import find_near
from pytest_experiment_profiler.errors import ExperimentError, ManifestError
from pytest_experiment_profiler.metrics import fact_coverage
from pytest_experiment_profiler.pricing import FREE_CLIENTS, count_tokens, price_usd
from pytest_experiment_profiler.reports.failure import Place, explain_failure
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.reports.progress import StatusLine
from pytest_experiment_profiler.selection import choose_layout, name_node

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Transcript

MANIFESTS = pytest.StashKey[dict[str, Path]]()
"""The manifest of each experiment id that was collected in a session."""

CHOSEN = pytest.StashKey[dict[str, list[str]]]()
"""The names of dialogues that the command line gives, by manifest."""

UNKNOWN = pytest.StashKey[list[str]]()
"""What the command line names that is not there."""


class ManifestFile(pytest.Module):
    """A manifest; nothing is imported."""

    obj = None
    checked: manifest.Checked

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Check the manifest and its dataset, and yield its experiment."""
        try:
            self.checked = manifest.check_manifest(self.path, self.config.rootpath)
        except ManifestError as error:
            raise self.CollectError(make_plain(str(error))) from None
        name = self.checked.experiment.experiment_id
        first = self.session.stash.setdefault(MANIFESTS, {}).setdefault(name, self.path)
        if first != self.path:
            raise self.CollectError(f"{self.path}: experiment_id {name!r} is taken by {first}")
        chosen = self.config.stash.get(CHOSEN, {})
        if choose_layout(self.config, self.path, chosen) == "tree":
            yield ExperimentNode.from_parent(self, name=name)
        else:
            yield ExperimentItem.from_parent(self, name=name, callobj=hold_experiment)


class ExperimentItem(pytest.Function):
    """An experiment; its dialogues are subtests."""

    current: list[Transcript] | None = None

    def reportinfo(self) -> tuple[Path, int, str]:
        """Place the experiment at its manifest."""
        return self.path, 0, self.name


class ExperimentNode(pytest.Class):
    """An experiment whose dialogues are items of their own."""

    obj = None

    def newinstance(self) -> None:
        """Make no instance: there is no class."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the dialogues, those that were named or all, and what is judged at the end."""
        file: Any = self.parent
        lines = name_dialogues(file)
        chosen = file.config.stash.get(CHOSEN, {}).get(str(self.path))
        wanted = None if chosen is None else self._own_names(file, chosen, lines)
        for name, (dialogue_id, line) in lines.items():
            if wanted is None or name in wanted:
                item = DialogueItem.from_parent(self, name=name, callobj=hold_dialogue)
                item.dialogue_id, item.line = dialogue_id, line
                yield item
        gates = ["gates" if "gates" not in lines else "gates (run)"]
        for name in gates if file.checked.experiment.gates else []:
            if wanted is None or name in wanted:
                yield GatesItem.from_parent(self, name=name, callobj=judge_gates)
        known = {*lines, *(gates if file.checked.experiment.gates else ())}
        unknown = sorted((wanted or set()) - known)
        if unknown:
            hint = find_near(unknown[0], lines)
            _tell_unknown(file, f"{self.nodeid}::{unknown[0]}{hint}")

    def _own_names(self, file: ManifestFile, chosen: list[str], known: Container[str]) -> set[str]:
        """List the names of ours among what was chosen in the manifest; ids are taken, too."""
        parts = [name.partition("::") for name in chosen]
        for experiment, _, name in parts:
            if experiment != self.name:
                _tell_unknown(file, f"{file.nodeid}::{experiment}::{name}")
        own = [name for experiment, _, name in parts if experiment == self.name]
        return {name if name in known else name_node(name) for name in own}


class DialogueItem(pytest.Function):
    """A dialogue of an experiment."""

    dialogue_id: str
    line: int
    current: list[Transcript] | None = None

    def reportinfo(self) -> tuple[Path, int, str]:
        """Place the dialogue at its line in the dataset.

        VS Code joins the line with the item's own path, which is the manifest's.
        """
        if self.config.pluginmanager.hasplugin("vscode_pytest"):
            return self.path, 0, self.name
        file: Any = self.getparent(ManifestFile)
        return file.checked.experiment.dataset_path, self.line - 1, self.name


class GatesItem(pytest.Function):
    """The gates on an experiment's whole run, its last item."""

    current: list[Transcript] | None = None

    def reportinfo(self) -> tuple[Path, int, str]:
        """Place the gates at their manifest."""
        return self.path, 0, self.name


def _tell_unknown(file: ManifestFile, name: str) -> None:
    if hasattr(file.config, "workerinput"):
        raise file.CollectError(f"not found: {name}")
    file.session.stash.setdefault(UNKNOWN, []).append(f"not found: {name}")


def group_manifests(items: list[pytest.Item]) -> None:
    """Put the items of a manifest together where its first one stands.

    pytest takes a module's fixtures down when another module's item is next, so a manifest whose
    items are mixed with others would be run, and paid, anew each time.
    """
    groups: dict[object, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(item.getparent(ManifestFile) or item, []).append(item)
    items[:] = [item for group in groups.values() for item in group]


def name_dialogues(file: ManifestFile) -> dict[str, tuple[str, int]]:
    """Give each dialogue a name; raise CollectError where two would have the same one."""
    lines: dict[str, tuple[str, int]] = {}
    for dialogue_id, line in file.checked.lines.items():
        first = lines.setdefault(name_node(dialogue_id), (dialogue_id, line))
        if first[0] != dialogue_id:
            dataset = file.checked.experiment.dataset_path
            raise file.CollectError(
                f"{dataset}:{line}:1: dialogue_id {dialogue_id!r} gets the same test name as "
                f"{first[0]!r} in line {first[1]}"
            )
    return lines


def find_selected(file: ManifestFile) -> tuple[str, ...] | None:
    """List the dialogues that are going to run, in dataset order; None: all of them."""
    items = [item for item in file.session.items if item.getparent(ManifestFile) is file]
    if any(isinstance(item, ExperimentItem) for item in items):
        return None
    chosen = {item.dialogue_id for item in items if isinstance(item, DialogueItem)}
    ids = tuple(name for name in file.checked.lines if name in chosen)
    return None if len(ids) == len(file.checked.lines) else ids


def hold_experiment(
    request: pytest.FixtureRequest, experiment_run: Run, subtests: pytest.Subtests
) -> None:
    """Take an experiment's transcripts in order and judge them, a subtest a dialogue."""
    item: Any = request.node
    failed, not_run = 0, 0
    for transcripts in take_transcripts(item, experiment_run):
        describe_item(item, transcripts, experiment_run)
        outcomes = {transcript.outcome for transcript in transcripts}
        failed += "error" in outcomes or bool(experiment_run.judge(transcripts))
        not_run += outcomes == {"not_run"}
        with subtests.test(transcripts[0].dialogue.dialogue_id):
            judge_dialogue(item.parent, experiment_run, transcripts)
    describe_item(item, None, experiment_run)
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
            show_hooks(item, run, transcripts)
            yield transcripts
            status.show(run.standing())
        status.clear()
    except KeyboardInterrupt:
        run.stop("interrupted")
        raise pytest.exit.Exception("interrupted", returncode=2) from None


def hold_dialogue(request: pytest.FixtureRequest, experiment_run: Run) -> None:
    """Wait for one dialogue's transcripts and judge them."""
    item: Any = request.node
    status = _open_status(item.config)
    try:
        transcripts = experiment_run.take(
            item.dialogue_id, lambda: status.show(experiment_run.standing())
        )
    except KeyboardInterrupt:
        experiment_run.stop("interrupted")
        raise pytest.exit.Exception("interrupted", returncode=2) from None
    except ExperimentError as error:
        raise pytest.fail.Exception(make_plain(str(error)), pytrace=False) from None
    status.clear()
    describe_item(item, transcripts, experiment_run)
    show_hooks(item, experiment_run, transcripts)
    if transcripts[0].outcome == "not_run" and experiment_run.tell_not_run():
        pytest.fail(f"dialogues were not run: {transcripts[0].not_run}", pytrace=False)
    judge_dialogue(item.getparent(ManifestFile), experiment_run, transcripts)


def judge_gates(request: pytest.FixtureRequest, experiment_run: Run) -> None:
    """Wait for the end of a run and judge it as a whole."""
    describe_item(request.node, None, experiment_run)
    lines = [*finish_run(request.node, experiment_run), *_verdict(experiment_run, 0, 0)]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def show_hooks(item: pytest.Item, run: Run, transcripts: list[Transcript]) -> None:
    """Let the hooks see a dialogue's transcripts."""
    for transcript in transcripts:
        item.ihook.pytest_experiment_dialogue(experiment=run.experiment, transcript=transcript)


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


def judge_dialogue(file: ManifestFile, run: Run, transcripts: list[Transcript]) -> None:
    """Fail or skip the current test where a dialogue errored, broke a gate or was not run."""
    failures = [transcript for transcript in transcripts if transcript.outcome == "error"]
    gates = tuple(result.sentence for result in run.judge(transcripts))
    shown = failures or (transcripts[-1:] if gates else [])
    if shown:
        texts = [explain_failure(t, _find_place(file, run, t), gates) for t in shown]
        pytest.fail("\n\n".join(texts), pytrace=False)
    left = [transcript.not_run for transcript in transcripts if transcript.not_run]
    if left:
        pytest.skip(f"not run: {left[0]}")


def _find_place(file: ManifestFile, run: Run, transcript: Transcript) -> Place:
    name = name_node(transcript.dialogue.dialogue_id)
    line = run.find_line(transcript)
    return Place(
        rerun=f"{file.nodeid}::{run.experiment.experiment_id}::{name}",
        log=f"{run.folder / 'responses.jsonl'}:{line}" if line else None,
    )


def finish_run(node: pytest.Item | pytest.Collector, run: Run) -> list[str]:
    """End a run and let the hooks see its summary; return what could not be read or written."""
    hook = node.ihook
    try:
        run.finish(lambda s: hook.pytest_experiment_summary(experiment=run.experiment, summary=s))
    except ExperimentError as error:
        return [make_plain(str(error))]
    return []


def close_run(file: ManifestFile, run: Run) -> list[str]:
    """End a run when its last item is done; return what could not be read or written."""
    if run.summary is not None:
        return []
    if not run.is_taken:
        run.stop("interrupted")
    return finish_run(file, run)


def describe_item(item: Any, transcripts: list[Transcript] | None, run: Run) -> None:  # noqa: ANN401
    """Put a dialogue's numbers, or only its run's folder, on the reports that the item gets."""
    item.current = transcripts
    kind = () if isinstance(item, ExperimentItem) else (("experiment_items", "dialogues"),)
    numbers = list(list_properties(transcripts)) if transcripts else []
    if transcripts and run.record["client"] not in FREE_CLIENTS:
        numbers += list_costs(transcripts)
    item.user_properties[:] = [("experiment_folder", str(run.folder)), *kind, *numbers]


def describe_report(item: Any, report: pytest.TestReport) -> None:  # noqa: ANN401
    """Give the report of a dialogue the time that its calls took, and its place in the dataset."""
    transcripts = getattr(item, "current", None)
    if report.when == "call" and transcripts:
        dialogue = transcripts[0].dialogue
        turns = [turn for transcript in transcripts for turn in transcript.turns]
        report.duration = math.fsum(turn.latency_s or 0.0 for turn in turns)
        report.location = (str(dialogue.file), dialogue.line - 1, report.location[2])


def list_properties(transcripts: list[Transcript]) -> Iterator[tuple[str, object]]:
    """List a dialogue's numbers as plain data, for JUnit XML and other readers of reports."""
    coverages = [c for c in map(fact_coverage, transcripts) if isinstance(c, float)]
    if coverages:
        yield "fact_coverage", math.fsum(coverages) / len(coverages)
    labels = [r.label for transcript in transcripts for r in transcript.refusals or ()]
    if labels:
        yield "refusal", "full" if "full" in labels else max(labels)
    replies = [turn.reply for t in transcripts for turn in t.turns if turn.reply]
    counts = [count_tokens(reply.usage) for reply in replies]
    if any(map(any, counts)):
        yield "input_tokens", sum(sent for sent, _ in counts)
        yield "output_tokens", sum(received for _, received in counts)


def list_costs(transcripts: list[Transcript]) -> Iterator[tuple[str, object]]:
    """Give what a dialogue's answers cost, where each price is known."""
    turns = [turn for transcript in transcripts for turn in transcript.turns]
    prices = [
        price_usd(turn.reply.model or turn.prompt.model, turn.reply.usage)
        for turn in turns
        if turn.reply
    ]
    known = [price for price in prices if price is not None]
    if prices and len(known) == len(prices):
        yield "cost_usd", float(sum(known))


def _verdict(run: Run, failed: int, not_run: int) -> Iterator[str]:
    total = run.record["selection"]["selected"]
    if failed:
        yield f"{failed} of {total} dialogues failed"
    if not_run:
        yield f"{not_run} of {total} dialogues were not run: {run.progress.stopped}"
    for gate in run.summary.gates if run.summary else ():
        if not gate["holds"]:
            yield f"gate: {gate['sentence']}"
