"""Measure how often the readers of refusals and facts agree with people, next to simple readers.

    python benchmarks/metric_accuracy.py --data FOLDER [--seeds 2]

FOLDER holds `refusals_dev.jsonl` and `facts_dev.jsonl`, answers with people's labels, which are no
part of this repository. Refusals are cross-validated: every row is judged with weights learned from
other prompts. Rows that people called neither yes nor no count as the share flagged.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.train_refusal import (
    BENIGN,
    FOLDS,
    OWN,
    UNSEEN,
    Row,
    cross_validate,
    load,
)
from pytest_experiment_profiler.experiment import Fact, FactMode
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.metrics.facts import match
from pytest_experiment_profiler.metrics.refusal import detect, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    FactReader = Callable[[Sequence[str], str], bool]

THREE_KEYWORDS = ("sorry", "i cannot", "i can't")
BALANCED = ("xstest-v2", "reuter-chatgpt-refusals", "issuebench-stance")
MODELS = "EVOUNA"
NO_MODEL = "DPR+FiD"


class Pair(NamedTuple):
    """What a reader says of an answer, and what people say."""

    flag: bool
    wanted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How a reader's flags and people's labels go together."""

    n: int
    hits: int
    false: int
    missed: int

    @property
    def f1(self) -> float:
        """Give the harmonic mean of precision and recall."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false + self.missed)

    @property
    def cells(self) -> list[str]:
        """Write the figures for a table."""
        precision = self.hits / max(1, self.hits + self.false)
        recall = self.hits / max(1, self.hits + self.missed)
        accuracy = 1 - (self.false + self.missed) / max(1, self.n)
        figures = [f"{value:.3f}" for value in (self.f1, precision, recall, accuracy)]
        return [*figures, str(self.false), str(self.missed)]


def agree(pairs: Iterable[Pair]) -> Agreement:
    """Count hits, false alarms and misses."""
    held = list(pairs)
    return Agreement(
        n=len(held),
        hits=sum(flag and wanted for flag, wanted in held),
        false=sum(flag and not wanted for flag, wanted in held),
        missed=sum(wanted and not flag for flag, wanted in held),
    )


def has_keyword(text: str) -> bool:
    """Read as a prefix list does: three phrases, in any case, with either apostrophe."""
    folded = text.casefold().replace("\u2019", "'")
    return any(keyword in folded for keyword in THREE_KEYWORDS)


def has_substring(wordings: Sequence[str], text: str) -> bool:
    """Read as `in` does, in any case."""
    folded = text.casefold()
    return any(wording.casefold() in folded for wording in wordings)


def has_fact(mode: FactMode, wordings: Sequence[str], text: str) -> bool:
    """Read as the matcher does in one of its modes."""
    return match(Fact(wordings=tuple(wordings)), text, mode).found


def judge_refusals(rows: Sequence[Row], seeds: int) -> dict[str, list[bool]]:
    """Flag all rows with each reader."""
    flags = {f"text, folds of seed {s}": cross_validate(rows, s) for s in range(seeds)}
    flags["keywords"] = [detect(row.text, detector="keywords").label == "full" for row in rows]
    flags[f"three phrases: {', '.join(THREE_KEYWORDS)}"] = [has_keyword(row.text) for row in rows]
    return flags


def show_refusals(rows: Sequence[Row], flags: Mapping[str, Sequence[bool]]) -> None:
    """Print agreement on all rows that people judged yes or no, then by source."""
    print_row("reader", "F1", "precision", "recall", "accuracy", "false", "missed", head=True)
    for name, flagged in flags.items():
        print_row(name, *agree(_pairs(rows, flagged)).cells)
    print()
    sources = [*BALANCED, *sorted({row.source for row in rows} - {OWN, UNSEEN, *BALANCED})]
    print_row("F1 by source", *sources, "mean of the first three", head=True)
    for name, flagged in flags.items():
        found = {source: agree(_pairs(rows, flagged, source)) for source in sources}
        mean = sum(found[source].f1 for source in BALANCED) / len(BALANCED)
        each = ("-" if not (a.hits or a.missed) else f"{a.f1:.3f}" for a in found.values())
        print_row(name, *each, f"{mean:.3f}")
    print()
    print_row("flagged", "benign", "partial", "deflection", "empty", head=True)
    for name, flagged in flags.items():
        print_row(name, *_flagged(rows, flagged))


def _pairs(rows: Sequence[Row], flags: Sequence[bool], source: str = "") -> Iterator[Pair]:
    for row, flag in zip(rows, flags, strict=True):
        judged = row.label in ("yes", "no") and row.source not in (OWN, UNSEEN)
        if judged and source in ("", row.source):
            yield Pair(flag, row.label == "yes")


def _flagged(rows: Sequence[Row], flags: Sequence[bool]) -> Iterator[str]:
    held = list(zip(rows, flags, strict=True))
    yield _share(flag for row, flag in held if row.source in BENIGN and row.label == "no")
    for label in ("partial", "deflection", "empty"):
        yield _share(flag for row, flag in held if row.label == label and row.source != OWN)


def _share(flags: Iterable[bool]) -> str:
    counted = list(flags)
    return f"{sum(counted)} of {len(counted)}"


def show_facts(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print each mode's agreement with people, and its error of a model's coverage."""
    readers: dict[str, FactReader] = {
        f"`fact_mode: {mode}`": partial(has_fact, mode) for mode in get_args(FactMode)
    }
    readers["substring"] = has_substring
    head = ("F1", "precision", "recall", "accuracy", "false", "missed", "coverage error", "ms")
    print_row("reader", *head, head=True)
    by_reader: dict[str, list[Pair]] = {}
    for name, reader in readers.items():
        started = time.process_time()
        flags = [reader(row["fact_aliases"], row["response"]) for row in rows]
        cost_ms = 1000 * (time.process_time() - started) / len(rows)
        pairs = [Pair(flag, row["label"]) for flag, row in zip(flags, rows, strict=True)]
        error = coverage_error(rows, pairs)
        print_row(name, *agree(pairs).cells, f"{error:.3f}", f"{cost_ms:.3f}")
        by_reader[name] = pairs
    print()
    sources = sorted({_source(row) for row in rows})
    print_row("F1 by source", *sources, head=True)
    for name, pairs in by_reader.items():
        held = list(zip(rows, pairs, strict=True))
        each = (agree(pair for row, pair in held if _source(row) == source) for source in sources)
        print_row(name, *(f"{agreement.f1:.3f}" for agreement in each))


def coverage_error(rows: Sequence[Mapping[str, Any]], pairs: Sequence[Pair]) -> float:
    """Average by how far each model's coverage of each set is off."""
    cells: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for row, pair in zip(rows, pairs, strict=True):
        if row["source"].startswith(MODELS) and row["model"] != NO_MODEL:
            cells[row["source"], row["model"]].append(pair)
    gaps = [
        abs(sum(p.flag for p in cell) - sum(p.wanted for p in cell)) / len(cell)
        for cell in cells.values()
    ]
    return sum(gaps) / max(1, len(gaps))


def _source(row: Mapping[str, Any]) -> str:
    return str(row["source"]).split(" (", maxsplit=1)[0]


def read_facts(folder: Path) -> list[dict[str, Any]]:
    """Read the labelled answers that hold a fact or don't, those of other people only."""
    lines = (folder / "facts_dev.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if UNSEEN not in row["source"]]


def print_row(*cells: str, head: bool = False) -> None:
    """Print a line of a Markdown table."""
    print(f"| {' | '.join(cells)} |")
    if head:
        print(f"| --- |{' ---: |' * (len(cells) - 1)}")


def main() -> None:
    """Print the tables of both readers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled answers")
    parser.add_argument("--seeds", type=int, default=2, help="ways to cut the folds")
    options = parser.parse_args()
    rows = load(options.data)
    facts = read_facts(options.data)
    today = datetime.now(UTC).date()
    print(f"{today}, definitions {name_definitions()}, refusal weights {version()}")
    judged = sum(1 for _ in _pairs(rows, [True] * len(rows)))
    print(f"\nRefusals: {judged} answers judged yes or no, {FOLDS} folds by prompt\n")
    show_refusals(rows, judge_refusals(rows, options.seeds))
    print(f"\nFacts: {len(facts)} answers\n")
    show_facts(facts)


if __name__ == "__main__":
    main()
