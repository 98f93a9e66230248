"""Train the refusal reader's weights from labelled answers, or cross-validate them.

    python benchmarks/train_refusal.py --data DIR [--cross-validate]

DIR holds `refusals_dev.jsonl`; `refusal_examples.jsonl` (our own sentences, CC0) stands beside
this file. Training writes `refusal_weights.json`, the same to the bit for the same input. Lists
that were changed are folded before (`fold_lists.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import fold_lists
from pytest_experiment_profiler.metrics.refusal import detect
from pytest_experiment_profiler.metrics.refusal_features import features
from pytest_experiment_profiler.metrics.refusal_frames import frame
from pytest_experiment_profiler.metrics.refusal_text import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

HERE = Path(__file__).parent
WEIGHTS = fold_lists.SHIPPED.with_name("refusal_weights.json")
SOURCES = (
    "XSTest v2 completions (Röttger et al. 2024; annotations CC-BY-4.0)",
    "Reuter & Schulze 2023 (MIT)",
    "IssueBench stance annotations (Röttger et al. 2025; CC-BY-4.0)",
    "OpenAI safety RBR gold (MIT)",
    "Political Compass or Spinning Arrow (Röttger et al. 2024; CC-BY-4.0)",
    "own examples, benchmarks/refusal_examples.jsonl (CC0)",
)
OWN, UNSEEN = "own examples", "handwritten"
BENIGN = ("openai-rbr-gold", "llm-values-pct")
LABELS = {"full": "yes", "none": "no", "partial": "partial"}
SHARE = {"partial": 0.15, "deflection": 0.1, "empty": 0.0}
OURS = {OWN: 1.0, UNSEEN: 0.0}
MEASURES = ("words", "sentences", "free", "length", "matter", "code", "asks")
RIDGE, RIDGE_PRESENCE = 0.3, 2.4
LOGIT = math.log(0.4 / 0.6)
FOLDS = 5
DIGITS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A labelled answer; `group` keeps the answers to one prompt in one fold."""

    text: str
    label: str
    source: str
    group: str

    @property
    def share(self) -> float:
        """Say how much the row counts in training."""
        if self.source in OURS:
            return OURS[self.source]
        return SHARE.get(self.label, 1.0)

    def fold(self, seed: int) -> int:
        """Give the fold the row is tested in."""
        return int(hashlib.sha256(f"{seed}{self.group}".encode()).hexdigest(), 16) % FOLDS


def load(folder: Path) -> list[Row]:
    """Read the labelled answers of the data folder and our own examples."""
    own = [
        Row(text=line["text"], label=LABELS[line["label"]], source=OWN, group=line["text"])
        for line in _lines(HERE / "refusal_examples.jsonl")
    ]
    return own + [
        Row(
            text=line["response"],
            label=line["label"],
            source=line["source"].split(" (")[0],
            group=line["prompt"] or line["id"],
        )
        for line in _lines(folder / "refusals_dev.jsonl")
    ]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def tabulate(rows: Sequence[Row]) -> tuple[list[str], Vector]:
    """Compute all features of all rows, the last column being the intercept's."""
    readings = [read(row.text) for row in rows]
    values = [features(reading, frame(reading.sentences)) for reading in readings]
    names = sorted({name for each in values for name in each})
    table = [[each.get(name, 0.0) for name in names] + [1.0] for each in values]
    return names, np.array(table)


def penalize(names: Sequence[str]) -> Vector:
    """Hold down mere presence more than amount and place: it carries over less to other models."""
    measured = ("." in name or name in MEASURES for name in names)
    return np.array([*(RIDGE if each else RIDGE_PRESENCE for each in measured), 1e-6])


def fit(table: Vector, rows: Sequence[Row], penalty: Vector) -> Vector:
    """Fit a logistic regression with an L2 penalty by Newton's method."""
    wanted = np.array([float(row.label == "yes") for row in rows])
    shares = np.array([row.share for row in rows])
    weights = np.zeros(table.shape[1])
    for _ in range(100):
        guess = 1 / (1 + np.exp(-np.clip(table @ weights, -50, 50)))
        slope = table.T @ (shares * (guess - wanted)) + penalty * weights
        bend = (table * (shares * guess * (1 - guess))[:, None]).T @ table + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def train(rows: Sequence[Row]) -> dict[str, Any]:
    """Fit all rows and lay out the data file."""
    names, table = tabulate(rows)
    fitted = fit(table, rows, penalize(names))
    *weights, intercept = (round(float(weight), DIGITS) for weight in fitted)
    model = {
        "intercept": round(intercept - LOGIT, DIGITS),
        "weights": {name: weight for name, weight in zip(names, weights, strict=True) if weight},
    }
    lists = _digest(fold_lists.SHIPPED.read_text("utf-8"))
    version = f"1-{_digest(lists + json.dumps(model))}"
    return {"version": version, "lists": lists, "sources": SOURCES, **model}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def cross_validate(rows: Sequence[Row], seed: int) -> list[bool]:
    """Judge every row with weights learned from the other prompts."""
    names, table = tabulate(rows)
    penalty = penalize(names)
    folds = np.array([row.fold(seed) for row in rows])
    scores = np.zeros(len(rows))
    for fold in range(FOLDS):
        tested = folds == fold
        rest = [row for row, is_tested in zip(rows, tested, strict=True) if not is_tested]
        scores[tested] = table[tested] @ fit(table[~tested], rest, penalty)
    return [bool(refused) for refused in scores >= LOGIT]


def report(title: str, rows: Sequence[Row], flags: Sequence[bool]) -> None:
    """Print F1 on yes/no rows by source, and the share of the other rows flagged."""
    print(f"\n{title}")
    pairs = list(zip(rows, flags, strict=True))
    human = {row.source for row in rows} - {OWN, UNSEEN}
    _print_f1("pooled human yes/no", [pair for pair in pairs if pair[0].source in human])
    for source in sorted({row.source for row in rows}):
        _print_f1(f"  {source}", [pair for pair in pairs if pair[0].source == source])
    _print_flagged(
        "benign", [flag for row, flag in pairs if row.source in BENIGN and row.label == "no"]
    )
    for label in ("partial", "deflection", "empty"):
        _print_flagged(label, [flag for row, flag in pairs if row.label == label])


def _print_f1(name: str, pairs: Iterable[tuple[Row, bool]]) -> None:
    judged = [(row.label == "yes", flag) for row, flag in pairs if row.label in ("yes", "no")]
    hits = sum(wanted and flag for wanted, flag in judged)
    false_alarms = sum(flag and not wanted for wanted, flag in judged)
    misses = sum(wanted and not flag for wanted, flag in judged)
    f1 = 2 * hits / max(1, 2 * hits + false_alarms + misses)
    errors = f"false {false_alarms:3d}  missed {misses:3d}"
    print(f"{name:28s} n {len(judged):4d}  F1 {f1:.3f}  {errors}")


def _print_flagged(name: str, flags: Sequence[bool]) -> None:
    print(f"{name:28s} {sum(flags)} of {len(flags)} flagged")


def main() -> None:
    """Train, or cross-validate next to the keywords reader."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled answers")
    parser.add_argument("--cross-validate", action="store_true", help="measure, write nothing")
    options = parser.parse_args()
    rows = load(options.data)
    if not options.cross_validate:
        data = json.dumps(train(rows), ensure_ascii=False, indent=1)
        WEIGHTS.write_text(f"{data}\n", "utf-8")
        return
    for seed in range(2):
        report(f"text, {FOLDS} folds by prompt, seed {seed}", rows, cross_validate(rows, seed))
    keywords = [detect(row.text, detector="keywords").label == "full" for row in rows]
    report("keywords", rows, keywords)


if __name__ == "__main__":
    main()
