"""How long a grade takes: the reference graded one by one, and by several workers at once.

python benchmarks/grading.py [--grades 20] [--bar 1.2]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-I", "-B", str(REPOSITORY / "grader"), "grade"]
REFERENCE = REPOSITORY / "fixtures" / "reference_submission"
WORKERS = (1, 2, 4)


def grade(seed: int) -> float:
    """Grade the reference in a process of its own; give the seconds."""
    began = time.perf_counter()
    done = subprocess.run(
        [*COMMAND, str(REFERENCE), "--seed", str(seed)], capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout.decode() + done.stderr.decode())
    return time.perf_counter() - began


def main() -> int:
    """Measure and print; the exit code says whether the median is below the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grades", type=int, default=20)
    parser.add_argument("--bar", type=float, default=1.2, help="seconds, for the median")
    options = parser.parse_args()
    grade(0)
    seconds = sorted(grade(seed) for seed in range(options.grades))
    median, high = statistics.median(seconds), seconds[round(0.95 * (len(seconds) - 1))]
    print(f"one grade on {os.cpu_count()} cores: median {median:.2f} s, p95 {high:.2f} s")
    for workers in WORKERS:
        began = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(grade, range(options.grades)))
        pace = 60 * options.grades / (time.perf_counter() - began)
        print(f"{workers} at once: {pace:.0f} a minute")
    return 0 if median <= options.bar else 1


if __name__ == "__main__":
    sys.exit(main())
