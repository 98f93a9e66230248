"""Kill runs at random moments, resume them, and count what the service was asked.

A run is killed with SIGKILL after a random number of requests and a random while, resumed, killed
again, and in the end resumed to its end. A call whose answer stands in the log may never be asked
again, and of the others only those that were in flight. Exits with 1 where that does not hold.

    python -m benchmarks.kills [--kills 50] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.live.service import KEY, serve

if TYPE_CHECKING:
    from tests.live.service import Service

DIALOGUES = 200
IN_FLIGHT = 16
KILLS_A_RUN = 5
FAULTS = {"429": 0.03, "529": 0.03, "cut": 0.02}


@dataclass
class Found:
    """What all kills came to."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def write_manifest(folder: Path) -> Path:
    """Write a manifest without mock answers."""
    rows = [{"dialogue_id": f"d{i}", "user": f"Question {i}?"} for i in range(DIALOGUES)]
    (folder / "dialogues.json").write_text(json.dumps(rows), "utf-8")
    keys = {"experiment_id": "killed", "model": "claude-haiku-4-5", "max_tokens": 200}
    keys |= {"dataset_path": "dialogues.json", "concurrency": IN_FLIGHT}
    manifest = folder / "killed_experiment.yaml"
    manifest.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in keys.items()), "utf-8")
    return manifest


def start(manifest: Path, service: Service) -> subprocess.Popen[bytes]:
    """Start a part of a run, or all that is left of it."""
    command = [sys.executable, "-m", "pytest_experiment_profiler", "run", "--resume"]
    named = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": service.url}
    return subprocess.Popen(
        [*command, "--config", manifest.name],
        cwd=manifest.parent,
        env=os.environ | named,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def list_ids(folder: Path, name: str) -> set[str]:
    """Name the dialogues in a log, leaving out a torn last line."""
    path = folder / f"{name}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return {json.loads(line)["dialogue_id"] for line in lines if line.endswith(b"\n")}


def id_of(call: str) -> str:
    """Name the dialogue of a call, as the service names it."""
    return f"d{call.split()[1].rstrip('?')}"


def kill_parts(manifest: Path, service: Service, dice: random.Random, found: Found) -> set[str]:
    """Kill a run's parts; return whose answers may have been on their way when it was killed."""
    folder = manifest.parent / "runs" / "killed"
    on_their_way: set[str] = set()
    for _ in range(KILLS_A_RUN):
        process = start(manifest, service)
        service.wait_for(service.requests + dice.randint(1, DIALOGUES // KILLS_A_RUN))
        time.sleep(dice.random() * 0.02)
        process.kill()
        process.communicate()
        kept = list_ids(folder, "responses")
        torn = not (folder / "responses.jsonl").read_bytes().endswith(b"\n") if kept else False
        on_their_way |= list_ids(folder, "requests") - kept
        found.counts["kills"] += 1
        found.counts["torn lines"] += torn
    return on_their_way


def check_run(manifest: Path, service: Service, dice: random.Random, found: Found) -> None:
    """Kill a run again and again, resume it to its end and compare both sides' counts."""
    on_their_way = kill_parts(manifest, service, dice, found)
    folder = manifest.parent / "runs" / "killed"
    kept = list_ids(folder, "responses")
    _, said = start(manifest, service).communicate()
    twice = {id_of(call) for call, times in service.answered.items() if times > 1}
    missing = {f"d{i}" for i in range(DIALOGUES)} - list_ids(folder, "responses")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    found.counts["answers"] += sum(service.answered.values())
    found.counts["answered, on their way at a kill, asked again"] += len(twice)
    found.counts["logged answers asked again"] += len(twice - on_their_way)
    found.counts["dialogues without an answer"] += len(missing)
    if twice - on_their_way or missing or summary["status"] != "complete":
        found.problems.append(f"asked twice {twice - on_their_way}, missing {missing}: {said!r}")
    if summary["counts"]["reused"] != len(kept):
        found.problems.append(f"reused {summary['counts']['reused']} of {len(kept)} answers")


def main() -> int:
    """Print the counts; return 1 where an answer was lost or asked again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    dice, found = random.Random(options.seed), Found()  # noqa: S311 -- when to kill, no secret
    while found.counts["kills"] < options.kills:
        with tempfile.TemporaryDirectory() as folder, serve(delay_s=0.02, faults=FAULTS) as service:
            check_run(write_manifest(Path(folder)), service, dice, found)
    print(f"seed {options.seed}")
    for name, count in found.counts.items():
        print(f"{name}: {count:,}")
    print(*found.problems, sep="\n")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
