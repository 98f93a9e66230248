"""Put a submission through its commands; what comes out is evidence, not yet judged."""

from __future__ import annotations

import json
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grader.artifacts import read_file
from grader.box import Command, Ending
from grader.cases import chance_of
from grader.desk import DEFAULT_ANSWERS, Layout, decoy_logs, write_experiment, write_run_folder
from grader.errors import ArtifactError
from grader.recorder import Call, Recorder

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from pathlib import Path

    from grader.box import Box
    from grader.cases import Cases
    from grader.kit import Kit
    from grader.user import BoxUser

ARTIFACTS = ("requests.jsonl", "responses.jsonl", "summary.json")
METRICS = ("fact_coverage", "refusal_rate", "geometric_mean")
MODULE = "experiment_profiler.cli"
NEVER = Ending(code=-1, reason="over")
RUNS = ("fresh", "rerun", "moved", "live", "zero")
NAMES = ("north", "amber", "delta", "maple", "rowan")
LIVE = ("live", "zero")
FAILURES: dict[str, tuple[str, str | None]] = {
    "missing_dataset": (".json", None),
    "empty_array": (".json", "[]\n"),
    "empty_lines": (".jsonl", ""),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEvidence:
    """What a `run` left: its ending, the bytes of each file or why there are none, calls made."""

    ending: Ending = NEVER
    files: Mapping[str, bytes] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    key: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What the commands of a grade left; `given` holds the values that the grader wrote."""

    runs: Mapping[str, RunEvidence]
    summaries: Mapping[str, Ending]
    failures: Mapping[str, Ending]
    given: Mapping[str, float]

    @property
    def endings(self) -> list[Ending]:
        """List how every command ended."""
        runs = [run.ending for run in self.runs.values()]
        return [*runs, *self.summaries.values(), *self.failures.values()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """The folders of one grade, and how a command of the submission is started in them."""

    root: Path
    program: Path
    box: Box
    user: BoxUser
    kit: Kit

    def desk(self, name: str) -> Path:
        """Name the folder that holds the files of a command."""
        return self.root / "d" / name

    def output(self, name: str) -> Path:
        """Make a folder for what a command writes."""
        return self.user.give(self.root / f"o-{name}")

    def hand_over(self, folder: Path) -> None:
        """Make a folder with its files the box's own."""
        if self.user.dropped:
            for path in (folder, *folder.iterdir()):
                os.chown(path, self.user.uid, self.user.uid)

    def start(  # noqa: PLR0913 -- a command has these parts
        self,
        name: str,
        arguments: list[str],
        *,
        cwd: Path,
        out: Path | None = None,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> Ending:
        """Start the submission with these arguments and wait for its end."""
        scratch = self.user.give(self.root / f"t-{name}")
        folders = (self.kit.packages, self.program)
        search = os.pathsep.join(map(str, folders))
        command = Command(
            name=name,
            arguments=(*self.kit.start_arguments(folders, MODULE), *arguments),
            cwd=cwd,
            readable=(*self.kit.readable, self.program, self.root / "d"),
            writable=(scratch, *([out] if out else [])),
            environment={**surroundings(scratch, search), **(environment or {})},
            port=port,
        )
        return self.box.run(command)

    def collect(
        self, writable: Path, below: tuple[str, ...]
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """Read the three files of a run, and say of each that can't be read why."""
        files: dict[str, bytes] = {}
        problems: dict[str, str] = {}
        for name in ARTIFACTS:
            try:
                files[name] = read_file(writable, (*below, name), self.user.uid)
            except ArtifactError as error:
                problems[name] = str(error)
        return files, problems


def surroundings(scratch: Path, search: str) -> dict[str, str]:
    """Give the environment of a command, from scratch and without a word about grading."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "USER": "user",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "100",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": search,
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "2",  # else each thread reserves memory that counts as used
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Where a run happens: files, current folder, output below a writable folder, the key.

    For each path that the program must find only one candidate exists. `key` None is no key at
    all; a base URL is always there, with a recorder behind it.
    """

    layout: Layout
    cwd: str
    output: str
    below: tuple[str, ...] = ()
    key: str | None = None
    relative: bool = False


def settings(word: str, key: str) -> dict[str, Setting]:
    """Give the setting of each run."""
    return {
        "fresh": Setting(
            layout=Layout(
                manifest=f"configs/{word}.yaml",
                dataset=f"data/{word}.json",
                dataset_path=f"../data/{word}.json",
                answers=f"data/{DEFAULT_ANSWERS}",
            ),
            cwd="here/now",
            output="first",
            below=("runs",),
            key="",
        ),
        "rerun": Setting(
            layout=Layout(
                manifest=f"{word}.yaml",
                dataset=f"rows/{word}.jsonl",
                dataset_path=f"rows/{word}.jsonl",
                answers=f"said/{word}.json",
                mock_responses=f"said/{word}.json",
                decoy=f"rows/{DEFAULT_ANSWERS}",
            ),
            cwd="here/now",
            output="first",
            below=("runs",),
        ),
        "moved": Setting(
            layout=Layout(
                manifest=f"sets/deep/{word}.yaml",
                dataset=f"here/lists/{word}.json",
                dataset_path=f"lists/{word}.json",
                answers=f"here/{word}.json",
                mock_responses=f"{word}.json",
                decoy=f"here/lists/{DEFAULT_ANSWERS}",
            ),
            cwd="here",
            output="second",
            below=("of", "late"),
            key="",
            relative=True,
        ),
        "live": Setting(
            layout=Layout(
                manifest=f"{word}/set.yaml",
                dataset=f"here/{word}.jsonl",
                dataset_path=f"{word}.jsonl",
                decoy=f"here/{DEFAULT_ANSWERS}",
            ),
            cwd="here",
            output="third",
            key=key,
        ),
        "zero": Setting(
            layout=Layout(
                manifest="set.yaml",
                dataset=f"{word}.json",
                dataset_path=f"{word}.json",
                decoy=DEFAULT_ANSWERS,
            ),
            cwd="here/now",
            output="fourth",
            below=("new",),
            key=key,
            relative=True,
        ),
    }


class Trials:
    """All commands of a grade."""

    def __init__(self, bench: Bench, cases: Cases, seed: int) -> None:
        chance = chance_of(seed, "desk")
        self._bench = bench
        self._cases = {name: getattr(cases, name) for name in RUNS}
        self._key = "sk-ant-" + secrets.token_urlsafe(24)
        self._settings = settings(chance.choice(NAMES), self._key)
        self._given = _draw_given(chance)
        self._runs: dict[str, RunEvidence] = {}
        self._summaries: dict[str, Ending] = {}
        self._failures: dict[str, Ending] = {}
        self._outputs = {
            name: bench.output(name) for name in {item.output for item in self._settings.values()}
        }
        for name, case in self._cases.items():
            setting = self._settings[name]
            write_experiment(bench.desk(name), setting.layout, case, chance)
            (bench.desk(name) / setting.cwd).mkdir(parents=True, exist_ok=True)
        for name, (suffix, text) in FAILURES.items():
            self._lay_out_failure(name, suffix, text)
        self._plant_old_run()

    def _plant_old_run(self) -> None:
        """Leave the run of another day where the live one goes."""
        folder = self._outputs["third"] / self._cases["live"].experiment_id
        summary = {"experiment_id": "before", **self._given}
        logs = decoy_logs(self._cases["fresh"], self._cases["moved"])
        self._old_run = {**logs, "summary.json": json.dumps(summary).encode()}
        write_run_folder(folder, self._old_run)
        self._bench.hand_over(folder)

    def _lay_out_failure(self, name: str, suffix: str, text: str | None) -> None:
        rows = f"rows{suffix}"
        layout = Layout(
            manifest="set.yaml", dataset=rows, dataset_path=rows, answers=DEFAULT_ANSWERS
        )
        folder = self._bench.desk(name)
        write_experiment(folder, layout, self._cases["moved"], chance_of(0, name))
        if text is None:
            (folder / rows).unlink()
        else:
            (folder / rows).write_text(text)

    def use_kit(self, kit: Kit) -> None:
        """Give the commands from now on the packages of another kit."""
        self._bench = replace(self._bench, kit=kit)

    def hold(self, workers: int) -> None:
        """Run every command, several at the same time."""
        with ThreadPoolExecutor(workers) as pool, self._bench.box.spoilt_by_trouble():
            fresh = pool.submit(self.run, "fresh")
            others = [pool.submit(self.run, name) for name in ("live", "moved", "zero")]
            others += [pool.submit(self._fail, name) for name in FAILURES]
            others += [pool.submit(self._summarize_given), pool.submit(self._summarize_missing)]
            fresh.result()
            others += [pool.submit(self.run, "rerun"), pool.submit(self._summarize_run)]
            for other in others:
                other.result()

    def hold_live_again(self) -> None:
        """Run the live commands once more, into folders as they were."""
        for name in LIVE:
            self._outputs[self._settings[name].output] = self._bench.output(f"{name}-again")
        self._plant_old_run()
        with ThreadPoolExecutor(len(LIVE)) as pool, self._bench.box.spoilt_by_trouble():
            list(pool.map(lambda name: self.run(name, "-again"), LIVE))

    def evidence(self) -> Evidence:
        """Give what there is so far."""
        return Evidence(
            runs=dict(self._runs),
            summaries=dict(self._summaries),
            failures=dict(self._failures),
            given=self._given,
        )

    def run(self, name: str, again: str = "") -> None:
        """Run an experiment in its setting, with a recorder at the base URL."""
        setting, case = self._settings[name], self._cases[name]
        cwd = self._bench.desk(name) / setting.cwd
        writable = self._outputs[setting.output]
        with Recorder(case) as recorder:
            environment = {"ANTHROPIC_BASE_URL": recorder.url}
            if setting.key is not None:
                environment["ANTHROPIC_API_KEY"] = setting.key
            ending = self._bench.start(
                name + again,
                self._arguments(name, cwd),
                cwd=cwd,
                out=writable,
                environment=environment,
                port=recorder.port,
            )
            calls = tuple(recorder.calls())
        files, problems = self._bench.collect(writable, (*setting.below, case.experiment_id))
        for file, data in self._before(name).items():
            if files.get(file) == data:
                problems[file] = f"{file}: left as it was before"
        self._runs[name] = RunEvidence(
            ending=ending, files=files, problems=problems, calls=calls, key=self._key
        )

    def _before(self, name: str) -> Mapping[str, bytes]:
        """Give the files that stood where a run has to write its own."""
        return (
            self._old_run
            if name == "live"
            else self._runs["fresh"].files
            if name == "rerun"
            else {}
        )

    def _arguments(self, name: str, cwd: Path) -> list[str]:
        setting = self._settings[name]
        manifest = self._bench.desk(name) / setting.layout.manifest
        out = self._outputs[setting.output].joinpath(*setting.below)
        shown = [
            os.path.relpath(path, cwd) if setting.relative else str(path)
            for path in (manifest, out)
        ]
        return ["run", "--config", shown[0], "--output-dir", shown[1]]

    def _summarize(self, name: str, folder: Path, shown: str) -> None:
        arguments = ["summarize", "--log-dir", shown]
        self._summaries[name] = self._bench.start(f"s-{name}", arguments, cwd=folder.parent)

    def _summarize_run(self) -> None:
        """Summarize a copy of what the first run left, for the second one works in its folder."""
        files = self._runs["fresh"].files
        folder = write_run_folder(self._bench.desk("kept") / "a", files)
        self._summarize("run", folder, str(folder))

    def _summarize_given(self) -> None:
        """Summarize a folder whose logs say something else than its summary."""
        summary = {"experiment_id": self._cases["moved"].experiment_id, **self._given}
        files = {**decoy_logs(self._cases["moved"]), "summary.json": json.dumps(summary).encode()}
        folder = write_run_folder(self._bench.desk("given") / "b", files)
        self._summarize("given", folder, folder.name)

    def _summarize_missing(self) -> None:
        """Summarize a folder that holds logs only."""
        files = decoy_logs(self._cases["fresh"])
        folder = write_run_folder(self._bench.desk("missing") / "c", files)
        self._summarize("missing", folder, str(folder))

    def _fail(self, name: str) -> None:
        """Run an experiment that can't be run."""
        folder = self._bench.desk(name)
        out = self._bench.output(name)
        arguments = ["run", "--config", str(folder / "set.yaml"), "--output-dir", str(out)]
        self._failures[name] = self._bench.start(name, arguments, cwd=folder, out=out)


def _draw_given(chance: random.Random) -> dict[str, float]:
    """Draw values for a summary, none of them close to a matter of rounding."""
    steps = chance.sample(range(1_100, 9_900), len(METRICS))
    return {name: step / 10_000 + 0.000_02 for name, step in zip(METRICS, steps, strict=True)}
