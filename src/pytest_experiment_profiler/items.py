"""How pytest sees an experiment: its manifest is a file, it is one item or one a dialogue."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler import manifest, orders
from pytest_experiment_profiler.errors import ManifestError, UsageError
from pytest_experiment_profiler.judging import hold_dialogue, hold_experiment, judge_gates
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.selection import (
    STILL_FAILED,
    asks_for,
    choose_layout,
    failed_before,
    name_node,
)
from pytest_experiment_profiler.validation import find_near

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Metric, Transcript
    from pytest_experiment_profiler.reports.progress import StatusLine

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
    own_metrics: Mapping[str, Metric]
    run: Run | None = None
    status: StatusLine
    hooks: Any = None
    dataset: str | None = None

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Check the manifest and its dataset, and yield its experiment."""
        root, taken = self.config.rootpath, self.session.stash.setdefault(MANIFESTS, {})
        try:
            self.own_metrics = orders.find_own_metrics(self.ihook)
            self.checked = manifest.check_manifest(self.path, root, self.own_metrics, taken)
        except (ManifestError, UsageError) as error:
            raise self.CollectError(make_plain(str(error))) from None
        name = self.checked.experiment.experiment_id
        taken[name] = self.path
        chosen = self.config.stash.get(CHOSEN, {})
        if choose_layout(self.config, self.path, chosen) == "tree":
            yield ExperimentNode.from_parent(self, name=name)
        else:
            yield ExperimentItem.from_parent(self, name=name, callobj=hold_experiment)


class ExperimentItem(pytest.Function):
    """An experiment; its dialogues are subtests."""

    holds_all = True
    current: list[Transcript] | None = None
    keywords_told: Mapping[str, Any] | None = None

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
        chosen = file.config.stash.get(CHOSEN, {}).get(str(self.path.resolve()))
        wanted = None if chosen is None else self._own_names(file, chosen, lines)
        fixtures = None
        for name, (dialogue_id, line) in lines.items():
            if wanted is None or name in wanted:
                item = DialogueItem.from_parent(
                    self, name=name, callobj=_take_no_fixture, fixtureinfo=fixtures
                )
                item.file, item.dialogue_id, item.line = file, dialogue_id, line
                # Looking fixtures up is a third of collecting; those of a test with parameters
                # are shared, too.
                fixtures = getattr(item, "_fixtureinfo", None)
                yield item
        gates = ["gates" if "gates" not in lines else "gates (run)"]
        for name in gates if file.checked.experiment.gates else []:
            if wanted is None or name in wanted:
                judge = GatesItem.from_parent(self, name=name, callobj=_take_no_fixture)
                judge.file = file
                yield judge
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


def _take_no_fixture() -> None:
    """Be judged by the item."""


class JudgedItem(pytest.Function):
    """An item that is one part of an experiment."""

    file: ManifestFile
    holds_all = False
    current: list[Transcript] | None = None
    keywords_told: Mapping[str, Any] | None = None

    @property
    def ihook(self) -> Any:  # noqa: ANN401 -- pluggy's
        """Call the hooks of the conftest files around the manifest, looked up once for a run."""
        return self.file.hooks or super().ihook

    def setup(self) -> None:
        """Set the project's own fixtures up, and the run if that is still to be done.

        Each fixture that an item asks for costs more than all that is done with it here.
        """
        if self.file.run is None:
            self.file.hooks = super().ihook
            self.fixturenames = [*self.fixturenames, "experiment_run"]
        super().setup()


class DialogueItem(JudgedItem):
    """A dialogue of an experiment."""

    dialogue_id: str
    line: int

    def runtest(self) -> None:
        """Judge the dialogue."""
        hold_dialogue(self)

    @cached_property
    def location(self) -> tuple[str, int | None, str]:
        """Say the place as pytest does, which takes long to write a path."""
        if self.file.dataset is None:
            self.file.dataset = super().location[0]
        return self.file.dataset, *self.reportinfo()[1:]

    def reportinfo(self) -> tuple[Path, int, str]:
        """Place the dialogue at its line in the dataset.

        VS Code joins the line with the item's own path, which is the manifest's.
        """
        if self.config.pluginmanager.hasplugin("vscode_pytest"):
            return self.path, 0, self.name
        return self.file.checked.experiment.dataset_path, self.line - 1, self.name


class GatesItem(JudgedItem):
    """The gates on an experiment's whole run, its last item."""

    def setup(self) -> None:
        """Start no run for gates that are not going to be judged."""
        if find_selected(self.file) is None:
            super().setup()

    def runtest(self) -> None:
        """Judge the run, if it is a whole one; what nobody asked for by name is no failure."""
        selected = find_selected(self.file)
        if selected is None:
            judge_gates(self)
            return
        some = f"{len(selected)} of {len(self.file.checked.lines)} dialogues"
        text = f"gates judge whole runs, and {some} were selected"
        ids = self.config.stash.get(CHOSEN, {}).get(str(self.path.resolve()), ())
        if asks_for(self.config, self.name, ids):
            pytest.fail(text, pytrace=False)
        if failed_before(self.config, self.nodeid):
            self.user_properties.append((STILL_FAILED, "gates"))
        pytest.skip(text)

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
