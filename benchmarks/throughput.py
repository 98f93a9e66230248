"""Measure what a run costs in time, processor and memory, against a bare loop over the SDK.

A server of our own answers on the loopback, from a process of its own. The bare loop has the SDK's
default transport, sends as many calls at once and writes one JSON line a call. Each subject is a
process of its own, and processor time is all that it used, start-up included. Subjects take turns
and the best of the repeats counts, because other load on the machine only ever adds.

    python -m benchmarks.throughput [--quick] [--repeats 3] [--only cpu,share,delay]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.live.service import FILLER, KEY, fetch_counts, serve_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

IN_FLIGHT = 64
DELAY_S = 0.5
FACTS = ("vapour gathers into drops", "moist air", "warm sea")
MOCK_ANSWER = (
    "The sun warms the sea until water evaporates and rises as vapour. High up it cools and "
    "condenses into clouds, which the wind carries inland; over the mountains it falls as rain or "
    "snow and runs off into streams and rivers."
)
SAMPLE = Path(__file__).parent.parent / "experiments" / "configs" / "sample_experiment.yaml"


class Used(NamedTuple):
    """What a process used: seconds on the clock and of the processor, peak memory, its end."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    ended_at: float


class Row(NamedTuple):
    """One line of the table."""

    figure: str
    measured: str
    bar: str
    held: bool


def run_process(command: Sequence[str], folder: Path, url: str = "") -> Used:
    """Run a command to its end and say what it used."""
    names = ("ANTHROPIC_", "PYTEST_ADDOPTS")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(names) and not name.upper().endswith("_PROXY")
    }
    named = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": url} if url else {}
    with (folder / "output.txt").open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=kept | named, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s, ended_at = time.perf_counter() - started, time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed: {(folder / 'output.txt').read_text('utf-8')[-3000:]}")
    return Used(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, ended_at)


def write_manifest(folder: Path, count: int) -> Path:
    """Write a manifest of so many dialogues with three facts each, and mock answers."""
    project = folder / f"n{count}"
    if not project.exists():
        project.mkdir()
        with (project / "dialogues.jsonl").open("w", encoding="utf-8") as file:
            for number in range(count):
                row = {
                    "dialogue_id": f"d{number}",
                    "user": f"Question {number}: where does rain come from, in two sentences?",
                    "required_facts": FACTS,
                }
                file.write(json.dumps(row) + "\n")
        answers = dict.fromkeys((f"d{number}" for number in range(count)), MOCK_ANSWER)
        (project / "mock_responses.json").write_text(json.dumps(answers), "utf-8")
        values = {
            "experiment_id": "bench",
            "model": "claude-haiku-4-5",
            "max_tokens": 200,
            "dataset_path": "dialogues.jsonl",
            "concurrency": IN_FLIGHT,
        }
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in values.items()]
        (project / "bench_experiment.yaml").write_text("".join(lines), "utf-8")
        (project / "pytest.ini").write_text("[pytest]\n", "utf-8")
    return project / "bench_experiment.yaml"


def as_pytest(manifest: Path, client: str) -> list[str]:
    """Name the command of a run under pytest, with no other plugin than ours."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:anyio"]
    return [*command, "--experiment", manifest.name, f"--experiment-client={client}"]


def as_shell(manifest: Path, client: str) -> list[str]:
    """Name the command of a run in the shell."""
    command = [sys.executable, "-m", "pytest_experiment_profiler", "run"]
    return [*command, "--config", manifest.name, "--client", client]


def as_bare_loop(_manifest: Path, _client: str) -> list[str]:
    """Name the command of the bare loop."""
    script = Path(__file__).with_name("bare_loop.py")
    return [sys.executable, str(script), "dialogues.jsonl", str(IN_FLIGHT)]


SUBJECTS = {"bare loop": as_bare_loop, "pytest": as_pytest, "shell": as_shell}


def measure_cpu(folder: Path, count: int, repeats: int, answer: str = FILLER) -> Iterator[Row]:
    """Compare processor time a call, at no delay, with answers of this text."""
    manifest = write_manifest(folder, count)
    with serve_apart("--filler", answer) as url:
        rounds = [
            {
                name: run_process(command(manifest, "anthropic"), manifest.parent, url).cpu_s
                for name, command in SUBJECTS.items()
            }
            for _ in range(repeats)
        ]
    best = {name: min(found[name] for found in rounds) / count * 1000 for name in SUBJECTS}
    for name, bar in (("pytest", 1.0), ("shell", 0.75)):
        ratio = best[name] / best["bare loop"]
        turns = ", ".join(f"{found[name] / found['bare loop']:.2f}" for found in rounds)
        said = f"{ratio:.2f} x ({best[name]:.2f} of {best['bare loop']:.2f} ms; by turns {turns})"
        figure = f"CPU a call, N = {count:,}, {len(answer)} characters, {name} against bare loop"
        yield Row(figure, said, f"{bar} x", ratio <= bar)


def measure_share(folder: Path, count: int, repeats: int) -> Iterator[Row]:
    """Measure our own processor time a dialogue: the mock answers, no pytest."""
    few, many = count // 10, count
    best = {}
    for size in (few, many):
        manifest = write_manifest(folder, size)
        command = as_shell(manifest, "mock")
        best[size] = min(run_process(command, manifest.parent).cpu_s for _ in range(repeats))
    share = (best[many] - best[few]) / (many - few) * 1000
    yield Row("own share a dialogue (mock, shell)", f"{share:.3f} ms", "0.2 ms", share <= 0.2)


def measure_delay(folder: Path, count: int, repeats: int) -> Iterator[Row]:
    """Measure first request to last answer where the service takes its time."""
    manifest = write_manifest(folder, count)
    ideal_s = math.ceil(count / IN_FLIGHT) * DELAY_S
    best: dict[str, float] = {}
    for name, command in SUBJECTS.items():
        for _ in range(repeats):
            with serve_apart("--delay", str(DELAY_S)) as url:
                run_process(command(manifest, "anthropic"), manifest.parent, url)
                counts = fetch_counts(url)
            took_s = counts["last_at"] - counts["first_at"]
            best[name] = min(best.get(name, took_s), took_s)
    for name in ("pytest", "shell"):
        ratio = best[name] / ideal_s
        said = f"{ratio:.3f} x ({best[name]:.2f} s; bare loop {best['bare loop']:.2f} s)"
        figure = f"first request to last answer, N = {count:,}, {DELAY_S} s delay, {name}"
        held = ratio <= 1.1 and best[name] <= best["bare loop"]
        yield Row(figure, said, "1.1 x, bare loop", held)


def measure_memory(folder: Path, count: int, _repeats: int) -> Iterator[Row]:
    """Measure how much more memory ten times the dialogues take."""
    few, many = count // 10, count
    for name in ("pytest", "shell"):
        peaks = []
        for size in (few, many):
            manifest = write_manifest(folder, size)
            with serve_apart() as url:
                command = SUBJECTS[name](manifest, "anthropic")
                peaks.append(run_process(command, manifest.parent, url).peak_mb)
        more = peaks[1] - peaks[0]
        said = f"{more:.1f} MB ({peaks[0]:.0f} to {peaks[1]:.0f} MB)"
        yield Row(f"peak memory at {many:,} less at {few:,}, {name}", said, "15 MB", more <= 15)


def measure_start(folder: Path, _count: int, repeats: int) -> Iterator[Row]:
    """Compare the sample on mock answers with a session of one empty test."""
    place = folder / "sample"
    place.mkdir()
    (place / "test_empty.py").write_text("def test_empty():\n    pass\n", "utf-8")
    (place / "pytest.ini").write_text("[pytest]\n", "utf-8")
    pytest = [sys.executable, "-m", "pytest"]
    sample = [*pytest, f"--experiment={SAMPLE}", "--experiment-client=mock"]
    empty = [*pytest, "test_empty.py"]
    run_process(sample, place)  # so that every file was read once
    pairs = [(run_process(sample, place), run_process(empty, place)) for _ in range(5 * repeats)]
    for clock in ("wall_s", "cpu_s"):
        ours, theirs = (
            min(getattr(used, clock) for used in side) for side in zip(*pairs, strict=True)
        )
        middle = statistics.median(getattr(a, clock) / getattr(b, clock) for a, b in pairs)
        said = f"{ours / theirs:.2f} x ({ours:.2f} of {theirs:.2f} s; median {middle:.2f} x)"
        figure = f"mock run of the sample against an empty session, {clock[:-2]}"
        yield Row(figure, said, "1.5 x", ours / theirs <= 1.5)


def measure_exit(folder: Path, count: int, repeats: int) -> Iterator[Row]:
    """Measure the time from the last answer to pytest's exit."""
    manifest = write_manifest(folder, count)
    best = math.inf
    for _ in range(repeats):
        with serve_apart() as url:
            used = run_process(as_pytest(manifest, "anthropic"), manifest.parent, url)
            best = min(best, used.ended_at - fetch_counts(url)["last_at"])
    bar = 0.5 + 0.0003 * count
    figure = f"last answer to pytest's exit, N = {count:,}"
    yield Row(figure, f"{best:.2f} s", f"{bar:.2f} s", best <= bar)


MEASURES: dict[str, tuple[Callable[[Path, int, int], Iterator[Row]], int]] = {
    "cpu": (partial(measure_cpu, answer=MOCK_ANSWER), 10_000),
    "long": (measure_cpu, 10_000),
    "share": (measure_share, 10_000),
    "delay": (measure_delay, 1_000),
    "memory": (measure_memory, 10_000),
    "start": (measure_start, 0),
    "exit": (measure_exit, 10_000),
}


def main() -> int:
    """Print the table; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls, once each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(MEASURES), help="figures, separated by commas")
    options = parser.parse_args()
    missed = 0
    print("| figure | measured | bar | |\n| --- | --- | --- | --- |")
    for name in options.only.split(","):
        measure, count = MEASURES[name]
        count, repeats = (count // 10, 1) if options.quick else (count, options.repeats)
        with tempfile.TemporaryDirectory() as folder:
            for row in measure(Path(folder), count, repeats):
                verdict = "held" if row.held else "MISSED"
                print(f"| {row.figure} | {row.measured} | {row.bar} | {verdict} |", flush=True)
                missed += not row.held
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
