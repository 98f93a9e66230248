"""What the earlier parts of a run spent, on lost answers too."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pytest_experiment_profiler.budget import NOTHING, Charge
from pytest_experiment_profiler.caller import actual_cost, worst_case
from pytest_experiment_profiler.pricing import FREE_CLIENTS
from pytest_experiment_profiler.recall import Recall
from pytest_experiment_profiler.runfolder import list_copies, read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Turn
    from pytest_experiment_profiler.recall import Call


def sum_earlier(folder: Path) -> Charge:
    """Add up what the run in a folder spent so far; raise RunFolderError where it can't be read."""
    record = read_run(folder)
    parts = record.get("parts", [record.get("started_at")])
    recall = Recall(folder)
    try:
        recalls = chain((recall,), recall_copies(folder, parts))
        return sum_charges(recalls, priced=record.get("client") not in FREE_CLIENTS)
    finally:
        recall.close()


def recall_copies(folder: Path, parts: Sequence[object]) -> Iterator[Recall]:
    """Read what earlier parts of a run asked before its manifest or dataset changed."""
    for copy in list_copies(folder, parts):
        recall = Recall(copy)
        yield recall
        recall.close()


def sum_charges(recalls: Iterable[Recall], *, priced: bool) -> Charge:
    """Add up what was spent, each call once; money only where it is `priced`."""
    spent = NOTHING
    counted: set[Call] = set()
    for recall in recalls:
        for call, turn in recall.turns():
            for charge in () if call in counted else _charges(turn, priced=priced):
                spent = Charge(spent.usd + charge.usd, spent.tokens + charge.tokens)
            counted.add(call)
    return spent


def _charges(turn: Turn, *, priced: bool) -> Iterator[Charge]:
    if turn.reply is not None:
        yield actual_cost(turn.reply, turn.prompt, priced=priced)
    for attempt in turn.attempts:
        if attempt.lost:
            yield worst_case(turn.prompt, priced=priced)
