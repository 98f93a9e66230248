"""Measure what the two layouts cost, and what ids on the command line cost; no model is asked.

Each figure is the CPU time of a whole pytest session (collection, run, reports, logs, table) of a
manifest of `--dialogues`, less that of a session of one dialogue, by the dialogue. The answers
are the mock's. Then the ids of all dialogues are given as arguments, as an editor's "run all"
does it, and only collected.

    python benchmarks/layouts.py [--dialogues 10000] [--bar 0.8] [--ids-bar 2]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

SESSION = """
import json, resource, sys
import pytest
from pytest_experiment_profiler.cli import main

words = json.load(sys.stdin)
code = main(words) if words[0] == "run" else pytest.main(words)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([int(code), used.ru_utime + used.ru_stime, used.ru_maxrss]), file=sys.stderr)
"""
"""A session whose arguments come by stdin: 10,000 of them may be more than a command line holds."""


def write_project(folder: Path, count: int) -> Path:
    """Write a manifest with so many dialogues and their mock answers."""
    rows = [
        {"dialogue_id": f"d{i:05}", "user": f"Question {i}?", "required_facts": [f"fact{i}"]}
        for i in range(count)
    ]
    folder.mkdir()
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "dialogues.jsonl").write_text(lines, "utf-8")
    answers = {row["dialogue_id"]: f"It is fact{i}." for i, row in enumerate(rows)}
    (folder / "mock_responses.json").write_text(json.dumps(answers), "utf-8")
    manifest = folder / f"n{count}_experiment.yaml"
    manifest.write_text(
        f"experiment_id: n{count}\nmodel: claude-haiku-4-5\nmax_tokens: 20\n"
        "dataset_path: dialogues.jsonl\n",
        "utf-8",
    )
    return manifest


def time_session(folder: Path, *words: str) -> tuple[float, float]:
    """Run one session of pytest and give its CPU seconds and its peak memory in MB."""
    others = sorted(entry_points(group="pytest11").names - {"experiment-profiler"})
    blocked = [f"-pno:{name}" for name in others]
    return time_call(folder, [*blocked, "-q", "--experiment-client=mock", *words])


def time_shell(folder: Path, manifest: str) -> tuple[float, float]:
    """Run a manifest without pytest and give the same."""
    return time_call(folder, ["run", "--client=mock", "--config", manifest, "--output-dir=shell"])


def time_call(folder: Path, words: list[str]) -> tuple[float, float]:
    """Run pytest, or the shell's `run`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SESSION],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        input=json.dumps(words),
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, memory_kb = json.loads(done.stderr.splitlines()[-1])
    if code:
        sys.exit(f"a session ended with exit code {code}:\n{done.stdout[-2000:]}")
    return seconds, memory_kb / 1024


def main() -> int:
    """Print the table; return 1 where a figure is above its bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dialogues", type=int, default=10_000)
    parser.add_argument("--bar", type=float, default=0.8, help="milliseconds a dialogue, tree")
    parser.add_argument("--ids-bar", type=float, default=2.0, help="CPU seconds to collect the ids")
    options = parser.parse_args()
    count = options.dialogues
    print(f"{count:,} dialogues; CPU of whole sessions; mock; Python {sys.version.split()[0]}\n")
    print(f"{'session':<26} {'CPU s':>8} {'ms a dialogue':>14} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
        one, many = (str(write_project(folder / f"n{n}", n)) for n in (1, count))
        time_session(folder, one)  # so that every file was read once
        tree_ms = 0.0
        for name, timed in (
            ("shell, no pytest at all", partial(time_shell, folder)),
            ("subtests", partial(time_session, folder, "--experiment-layout=subtests")),
            ("tree", partial(time_session, folder, "--experiment-layout=tree")),
        ):
            base_s, _ = timed(one)
            seconds, memory = timed(many)
            tree_ms = (seconds - base_s) / count * 1000
            print(f"{name:<26} {seconds:>8.2f} {tree_ms:>14.3f} {memory:>8.0f}")
        looks = ["--collect-only", "--experiment-layout=tree"]
        seconds, memory = time_session(folder, many, *looks)
        print(f"{'tree, only collected':<26} {seconds:>8.2f} {'':>14} {memory:>8.0f}")
        ids = [f"{many}::n{count}::d{i:05}" for i in range(count)]
        ids_s, memory = time_session(folder, "--collect-only", *ids)
        print(f"{'ids, only collected':<26} {ids_s:>8.2f} {'':>14} {memory:>8.0f}")
    held = tree_ms < options.bar and ids_s < options.ids_bar
    print(f"\ntree below {options.bar:g} ms a dialogue: {'yes' if tree_ms < options.bar else 'NO'}")
    print(f"ids below {options.ids_bar:g} s: {'yes' if ids_s < options.ids_bar else 'NO'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
