"""Measure what the installed plugin adds to a pytest session that holds no experiment.

Whole sessions over one empty test are timed, by turns with the plugin and without it, so that
nothing it costs is left out. Other plugins are blocked: they only add noise, and may import what
this one would be blamed for.

    python benchmarks/startup.py [--repeats 20] [--bar 30] [--plugin experiment-profiler]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple


class Milliseconds(NamedTuple):
    """What a session took, on the clock and of the processor."""

    wall: float
    cpu: float


def time_session(folder: Path, plugin: str | None) -> Milliseconds:
    """Run one session with that plugin alone, or with none."""
    blocked = sorted(entry_points(group="pytest11").names - {plugin})
    command = [sys.executable, "-m", "pytest", *(f"-pno:{name}" for name in blocked)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Milliseconds(wall_s * 1000, cpu_s * 1000)


def measure(plugin: str, repeats: int) -> list[tuple[Milliseconds, Milliseconds]]:
    """Time sessions with the plugin and without it, by turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_empty.py").write_text("def test_empty():\n    pass\n", "utf-8")
        time_session(folder, plugin)  # so that every file was read once
        return [(time_session(folder, plugin), time_session(folder, None)) for _ in range(repeats)]


def main() -> int:
    """Print the table; return 1 where the plugin adds more than the bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--bar", type=float, default=30, help="milliseconds of median CPU allowed")
    parser.add_argument("--plugin", default="experiment-profiler", help="its entry point's name")
    options = parser.parse_args()
    pairs = measure(options.plugin, options.repeats)
    print(f"{options.plugin}: {options.repeats} sessions each way, by turns; milliseconds\n")
    print(f"{'':<12} {'with':>8} {'without':>8} {'added':>8}")
    added = 0.0
    for clock in Milliseconds._fields:
        for reduce in (min, statistics.median):
            present, absent = (
                reduce(getattr(x, clock) for x in side) for side in zip(*pairs, strict=True)
            )
            added = present - absent
            name = f"{clock} {reduce.__name__}"
            print(f"{name:<12} {present:>8.0f} {absent:>8.0f} {added:>8.1f}")
    held = added < options.bar  # the last line: other load on the machine sways the wall clock
    print(f"\nless than {options.bar:g} ms of CPU, median: {'yes' if held else 'NO'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
