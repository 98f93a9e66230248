"""Hold 2,000 dialogues with a service that fails now and then; every one must be answered.

python -m benchmarks.faults [--dialogues 2000]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.throughput import as_shell, run_process, write_manifest
from tests.live.service import fetch_counts, serve_apart

FAULTS = {"429": 0.03, "429-bare": 0.01, "429-limits": 0.01, "529": 0.02, "cut": 0.01}


def main() -> int:
    """Print what the service counted; return 1 where a dialogue went without an answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dialogues", type=int, default=2000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_apart("--delay", "0.05", "--faults", json.dumps(FAULTS)) as url,
    ):
        manifest = write_manifest(Path(folder), options.dialogues)
        started = time.perf_counter()
        run_process(as_shell(manifest, "anthropic"), manifest.parent, url)
        counts = fetch_counts(url)
        path = manifest.parent / "runs" / "bench" / "summary.json"
        summary = json.loads(path.read_text("utf-8"))
    print(f"wall {time.perf_counter() - started:.1f} s, requests {counts['requests']:,}")
    print(f"kinds: {counts['kinds']}")
    print(f"answered: {len(counts['answered']):,}, counts: {summary['counts']}")
    twice = sum(times > 1 for times in counts["answered"].values())
    print(f"answered twice: {twice}")
    whole = len(counts["answered"]) == options.dialogues and not summary["counts"]["errors"]
    return 0 if whole and not twice else 1


if __name__ == "__main__":
    sys.exit(main())
