"""Put a submission through its commands; what comes out is evidence, not yet judged."""

from __future__ import annotations

import json
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grader.artifacts import decode, parse_object
from grader.box import Ending
from grader.cases import chance_of
from grader.desk import DEFAULT_ANSWERS, decoy_logs, decoy_text, write_experiment, write_run_folder
from grader.errors import ArtifactError
from grader.recorder import Call, Recorder
from grader.settings import NAMES, draw_words, failures, rename, settings

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from pathlib import Path

    from grader.bench import Bench
    from grader.cases import Cases
    from grader.experiments import Case
    from grader.kit import Kit

METRICS = ("fact_coverage", "refusal_rate", "geometric_mean")
NEVER = Ending(code=-1, reason="over")
RUNS = ("fresh", "rerun", "moved", "live", "zero")
LIVE = ("live", "zero")
ONE_FOLDER = ("fresh", "live", "rerun")
MISLEADING = ("metrics.json", "results.json", "run.json", "summary.jsonl")
FAILURES = ("missing_dataset", "empty_array", "empty_lines")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEvidence:
    """What a `run` left: its ending, the bytes of each file or why there are none, calls made.

    `requests` counts all that was sent to the recorder, calls or not.
    """

    ending: Ending = NEVER
    files: Mapping[str, bytes] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    requests: int = 0
    key: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What the commands of a grade left.

    `given` holds the values of a summary that the grader wrote, `altered` those that it put into
    one of the submission's own.
    """

    runs: Mapping[str, RunEvidence]
    summaries: Mapping[str, Ending]
    failures: Mapping[str, Ending]
    given: Mapping[str, float]
    altered: Mapping[str, float | None]

    @property
    def endings(self) -> list[Ending]:
        """List how every command ended."""
        runs = [run.ending for run in self.runs.values()]
        return [*runs, *self.summaries.values(), *self.failures.values()]


class Trials:
    """All commands of a grade."""

    def __init__(self, bench: Bench, cases: Cases, seed: int) -> None:
        chance = chance_of(seed, "desk")
        self._bench = bench
        self._cases = {name: getattr(cases, name) for name in RUNS}
        self._key = secrets.token_hex(9)
        words = draw_words(chance_of(seed, "places"))
        drawn = settings(chance.choice(NAMES), self._key)
        self._settings = {name: rename(item, words) for name, item in drawn.items()}
        self._failing = {name: rename(item, words) for name, item in failures().items()}
        self._given, self._altered = _draw_values(chance), _draw_rate(chance)
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
        for name in FAILURES:
            self._lay_out_failure(name)
        self._old_mark = f"{chance.getrandbits(64):016x}"
        self._old_run = _imagine_run(
            self._cases["moved"], _draw_values(chance), note=self._old_mark
        )
        self._plant_old_run("moved")

    def _plant_old_run(self, name: str) -> None:
        """Leave the run of another day where a run goes."""
        setting = self._settings[name]
        above = self._outputs[setting.output].joinpath(*setting.below)
        folder = write_run_folder(above / self._cases[name].experiment_id, self._old_run)
        self._bench.hand_over(above)
        self._bench.hand_over(folder)

    def _lay_out_failure(self, name: str) -> None:
        failure = self._failing[name]
        folder = self._bench.desk(name)
        write_experiment(folder, failure.layout, self._cases["zero"], chance_of(0, name))
        (folder / failure.cwd).mkdir(exist_ok=True)
        dataset = folder / failure.layout.dataset
        if failure.dataset is None:
            dataset.unlink()
        else:
            dataset.write_text(failure.dataset)

    def use_kit(self, kit: Kit) -> None:
        """Give the commands from now on the packages of another kit."""
        self._bench = replace(self._bench, kit=kit)

    def hold(self, workers: int) -> None:
        """Run every command, several at the same time."""
        with ThreadPoolExecutor(workers) as pool, self._bench.box.spoilt_by_trouble():
            jobs = [pool.submit(self._hold_one_after_the_other)]
            jobs += [pool.submit(self.run, name) for name in ("moved", "zero")]
            jobs += [pool.submit(self._fail, name) for name in FAILURES]
            jobs += [pool.submit(self._summarize_given), pool.submit(self._summarize_missing)]
            for job in jobs:
                job.result()

    def _hold_one_after_the_other(self) -> None:
        """Run what works in one folder, each time on what the last run left."""
        for name in ONE_FOLDER:
            self.run(name)
        self._summarize_run()

    def hold_live_again(self) -> None:
        """Run the live commands once more, on what all the runs before have left."""
        with ThreadPoolExecutor(len(LIVE)) as pool, self._bench.box.spoilt_by_trouble():
            list(pool.map(lambda name: self.run(name, "-again"), LIVE))

    def evidence(self) -> Evidence:
        """Give what there is so far."""
        return Evidence(
            runs=dict(self._runs),
            summaries=dict(self._summaries),
            failures=dict(self._failures),
            given=self._given,
            altered=self._altered,
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
                scratch_name=setting.output,
            )
            calls, requests = tuple(recorder.calls()), recorder.requests
        files, problems = self._bench.collect(writable, (*setting.below, case.experiment_id))
        for file, data in self._before(name).items():
            if files.get(file) == data:
                problems[file] = f"{file}: left as it was before"
        for file, data in files.items():
            if self._old_mark.encode() in data:
                problems[file] = f"{file}: something of an earlier run is left in it"
        self._runs[name] = RunEvidence(
            ending=ending,
            files=files,
            problems=problems,
            calls=calls,
            requests=requests,
            key=self._key,
        )

    def _before(self, name: str) -> Mapping[str, bytes]:
        """Give the files that stood where a run has to write its own."""
        if name == "moved":
            return self._old_run
        earlier = {"live": "fresh", "rerun": "live"}.get(name)
        return self._runs[earlier].files if earlier else {}

    def _arguments(self, name: str, cwd: Path) -> list[str]:
        setting = self._settings[name]
        manifest = self._bench.desk(name) / setting.layout.manifest
        out = self._outputs[setting.output].joinpath(*setting.below)
        shown = [
            os.path.relpath(path, cwd) if setting.relative else str(path)
            for path in (manifest, out)
        ]
        return ["run", "--config", shown[0], "--output-dir", shown[1]]

    def _summarize(self, name: str, files: Mapping[str, bytes], *, relative: bool = False) -> None:
        """Summarize a folder of these files; others in it and all around are not meant."""
        above = self._bench.desk(f"s-{name}")
        old = self._old_run["summary.json"]
        folder = write_run_folder(above / "a run", {**files, **dict.fromkeys(MISLEADING, old)})
        for other in (above / "b", folder / "a run", folder / "old"):
            write_run_folder(other, {"summary.json": old})
        (above / "summary.json").write_bytes(old)
        self._bench.hand_over(folder)
        shown = folder.name if relative else str(folder)
        arguments = ["summarize", "--log-dir", shown]
        self._summaries[name] = self._bench.start(f"s-{name}", arguments, cwd=above, out=folder)

    def _summarize_run(self) -> None:
        """Summarize what a run left, without its logs and with other values."""
        data = self._runs["rerun"].files.get("summary.json")
        files = {} if data is None else {"summary.json": _alter(data, self._altered)}
        self._summarize("run", files)

    def _summarize_given(self) -> None:
        """Summarize a folder whose logs say something else than its summary."""
        files = _imagine_run(self._cases["moved"], self._given)
        self._summarize("given", files, relative=True)

    def _summarize_missing(self) -> None:
        """Summarize a folder that holds logs only."""
        self._summarize("missing", decoy_logs(self._cases["fresh"]))

    def _fail(self, name: str) -> None:
        """Run an experiment that can't be run."""
        failure = self._failing[name]
        folder = self._bench.desk(name)
        out = self._bench.output(name)
        if failure.dataset is None:  # nor is it to be looked for here
            decoy = out / failure.layout.dataset_path
            decoy.parent.mkdir(exist_ok=True)
            for path in (decoy, decoy.with_name(DEFAULT_ANSWERS)):
                path.write_text(decoy_text(path.name, failure.layout, self._cases["zero"]))
        manifest = str(folder / failure.layout.manifest)
        arguments = ["run", "--config", manifest, "--output-dir", str(out)]
        cwd = folder / failure.cwd
        self._failures[name] = self._bench.start(name, arguments, cwd=cwd, out=out)


def _imagine_run(case: Case, values: Mapping[str, float], **further: str) -> dict[str, bytes]:
    """Give the files of a run that never was."""
    summary = {**values, "experiment_id": case.experiment_id, **further}
    return {**decoy_logs(case), "summary.json": json.dumps(summary).encode()}


def _alter(data: bytes, values: Mapping[str, float | None]) -> bytes:
    """Put other values into a summary; what is no summary stays as it is."""
    try:
        summary = parse_object(decode(data, "summary.json"), "summary.json")
    except ArtifactError:
        return data
    return json.dumps({**summary, **values}).encode()


def _draw_values(chance: random.Random) -> dict[str, float]:
    """Draw values in any order: one is 0, one ends in 0 as shown, one is rounded up."""
    long, short = chance.sample(range(110, 990), 2)
    values = [0, short / 1_000 + 0.000_02, long / 1_000 + 0.000_67]
    return dict(zip(chance.sample(METRICS, len(METRICS)), values, strict=True))


def _draw_rate(chance: random.Random) -> dict[str, float | None]:
    """Draw a rate that is rounded up and ends in 0 as shown; no dialogue had facts."""
    rate = chance.randrange(110, 990) / 1_000 + 0.000_96
    return {"fact_coverage": None, "refusal_rate": rate, "geometric_mean": None}
