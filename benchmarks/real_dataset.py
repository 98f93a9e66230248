"""Run recorded answers of real models, labelled by people, through `pytest --experiment`.

    python benchmarks/real_dataset.py --data FOLDER [--rows N]

FOLDER holds facts_dev.jsonl, one answer a line: id, question, fact_aliases (wordings of one fact),
model, response, label (does the answer hold the fact?). The manifest, the dataset and the mock
answers made of it lie in a temporary folder and go with it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]

MANIFEST = """\
experiment_id: real_dataset
model: recorded-answers
max_tokens: 1000
dataset_path: dialogues.jsonl
mock_responses: answers.json
"""
NOTHING = "(the question was not recorded)"


def read_rows(path: Path, limit: int | None) -> list[Row]:
    """Read the answers, at most `limit` of them."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, limit)]


def write_experiment(folder: Path, rows: list[Row]) -> Path:
    """Write manifest, dataset and mock answers; return the manifest.

    Several models answered a question: each answer is a dialogue, those to one question a cluster.
    A few answers come without their question; a dialogue must ask something, so they get NOTHING.
    """
    with (folder / "dialogues.jsonl").open("w", encoding="utf-8") as dataset:
        for row in rows:
            dialogue = {
                "dialogue_id": row["id"],
                "user": row["question"] or NOTHING,
                "required_facts": [row["fact_aliases"]],
                "cluster": row["question"] or row["id"],
                "tags": [row["model"]],
            }
            dataset.write(json.dumps(dialogue) + "\n")
    answers = {row["id"]: row["response"] for row in rows}
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")
    manifest = folder / "real_dataset_experiment.yaml"
    manifest.write_text(MANIFEST, "utf-8")
    return manifest


def run_pytest(manifest: Path) -> tuple[Path, float]:
    """Run the manifest with pytest's own output; return the run folder and the seconds it took."""
    output = manifest.parent / "runs"
    command = [sys.executable, "-m", "pytest", "--experiment", manifest.name]
    command += [f"--experiment-output={output}", "--experiment-client=mock"]
    started = time.perf_counter()
    code = subprocess.run(command, cwd=manifest.parent, check=False).returncode
    wall_s = time.perf_counter() - started
    if code:
        sys.exit(code)
    return output / "real_dataset", wall_s


def report_cost(rows: int, wall_s: float) -> None:
    """Say what the session took, from the system's account of it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    print(f"\ndialogues    {rows:>8}")
    print(f"wall         {wall_s:>8.2f} s")
    print(f"CPU          {cpu_s:>8.2f} s  ({cpu_s * 1000 / rows:.2f} ms a dialogue)")
    print(f"peak memory  {used.ru_maxrss * unit / 1e6:>8.0f} MB")


def report_agreement(folder: Path, rows: list[Row]) -> None:
    """Compare what was found in each answer with what people found there."""
    with (folder / "scores.jsonl").open(encoding="utf-8") as lines:
        scores = [json.loads(line) for line in lines]
    found = {score["dialogue_id"]: score["fact_coverage"] == 1 for score in scores}
    pairs = Counter((found[row["id"]], row["label"]) for row in rows)
    both, extra, missed = pairs[True, True], pairs[True, False], pairs[False, True]
    print(f"people say   {(both + missed) / len(rows):>8.4f}  of the answers hold their fact")
    print(f"agreement    {(both + pairs[False, False]) / len(rows):>8.4f}  of the answers")
    print(f"found        {both:>8} of {both + missed} facts that people found, {extra} others")
    print(f"F1           {2 * both / (2 * both + extra + missed):>8.4f}")


def main() -> None:
    """Make the experiment, run it, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--rows", type=int, help="only the first so many (default: all)")
    options = parser.parse_args()
    rows = read_rows(options.data / "facts_dev.jsonl", options.rows)
    with tempfile.TemporaryDirectory(prefix="real_dataset_") as name:
        folder, wall_s = run_pytest(write_experiment(Path(name), rows))
        report_cost(len(rows), wall_s)
        report_agreement(folder, rows)


if __name__ == "__main__":
    main()
