"""What a run is started with → the run, under way."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from pytest_experiment_profiler.budget import Charge, Ledger
from pytest_experiment_profiler.clients import name_client
from pytest_experiment_profiler.clients.threads import check_client
from pytest_experiment_profiler.dialogues import read_dialogues
from pytest_experiment_profiler.engine import Run
from pytest_experiment_profiler.errors import RunFolderError, UsageError
from pytest_experiment_profiler.metrics.definitions import name_definitions
from pytest_experiment_profiler.pricing import FREE_CLIENTS, price_usd
from pytest_experiment_profiler.provenance import describe_run
from pytest_experiment_profiler.recall import Recall
from pytest_experiment_profiler.runfolder import (
    find_unfinished,
    keep_copy,
    lock,
    open_folder,
    read_run,
)
from pytest_experiment_profiler.spending import recall_copies, sum_charges, sum_earlier
from pytest_experiment_profiler.verdict import judge_with_baseline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Client, Dialogue, Experiment, Metric
    from pytest_experiment_profiler.loop import LoopThread
    from pytest_experiment_profiler.manifest import Checked
    from pytest_experiment_profiler.records import Record
    from pytest_experiment_profiler.scored import RunScores


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a run is started with, besides its manifest.

    `counted`: the budget holds already what earlier parts of the run spent.
    """

    client: Client
    why: str
    base_url: str | None
    output: Path
    loop: LoopThread
    own_metrics: Mapping[str, Metric]
    resume: bool = False
    budget: Ledger | None = None
    counted: bool = False
    baseline: RunScores | None = None
    intersection: bool = False
    session: str | None = None
    selected: tuple[str, ...] | None = None


def open_budget(
    usd: float | None, earlier: Iterable[Path] = (), share: float = 1.0
) -> Ledger | None:
    """Make the budget of a whole session, or of a share of it; None is none.

    What the runs in `earlier` spent is counted first.
    """
    if usd is None:
        return None
    part = Decimal(str(share))
    ledger = Ledger(usd=Decimal(str(usd)) * part)
    for folder in earlier:
        spent = sum_earlier(folder)
        ledger.spend(Charge(spent.usd * part, spent.tokens))
    return ledger


def find_earlier(folder: Path, selected: tuple[str, ...] | None) -> Path | None:
    """Find the run that a resumed one of these dialogues goes on with, if there is one."""
    found = folder if selected is None else find_unfinished(folder, selected)
    return found if found and (found / "run.json").exists() else None


def start_run(checked: Checked, setting: Setting) -> Run:
    """Open `output`/<experiment_id>/ and start the calls; raise ExperimentError if that fails."""
    check_client(setting.client)
    experiment = checked.experiment
    client = name_client(setting.client)
    record = describe_run(
        experiment,
        client=client,
        base_url=setting.base_url,
        dialogues=len(checked.lines),
        selected=setting.selected,
    )
    record["client_why"], record["session"] = setting.why, setting.session
    record["provenance"]["definitions_version"] = name_definitions()
    folder = setting.output / experiment.experiment_id
    if setting.selected is not None:
        folder = _find_partial(folder, setting) or open_folder(folder, partial=True)
    with ExitStack() as stack:
        stack.enter_context(lock(folder))
        recall = _remember(folder, record, setting)
        if recall is None and setting.selected is None:
            open_folder(folder)
        (folder / "summary.json").unlink(missing_ok=True)
        priced = client not in FREE_CLIENTS
        ledgers = _ledgers(experiment, setting.budget, priced=priced)
        lacking = [one for one in ledgers if not (setting.counted and one is setting.budget)]
        if recall is not None and lacking:
            recalls = chain((recall,), recall_copies(folder, record["parts"]))
            in_money = priced and any(ledger.usd is not None for ledger in lacking)
            spent = sum_charges(recalls, priced=in_money)
            for ledger in lacking:
                ledger.spend(spent)
        run = Run(
            experiment,
            record,
            setting.client,
            folder,
            loop=setting.loop,
            ledgers=ledgers,
            recall=recall,
            own_metrics=setting.own_metrics,
            judge=partial(
                judge_with_baseline,
                folder=folder,
                gates=experiment.gates,
                baseline=setting.baseline,
                intersection=setting.intersection,
            ),
        )
        run.start(_select(checked, setting.selected), list(setting.selected or checked.lines))
        run.unlock = stack.pop_all().close
    return run


def _select(checked: Checked, selected: tuple[str, ...] | None) -> Iterator[Dialogue]:
    wanted = None if selected is None else set(selected)
    for dialogue in read_dialogues(checked.experiment.dataset_path, checked=checked.holds):
        if wanted is None or dialogue.dialogue_id in wanted:
            yield dialogue


def _find_partial(folder: Path, setting: Setting) -> Path | None:
    """Find the newest unfinished run of the same dialogues, if it is to go on."""
    found = find_unfinished(folder, setting.selected or ())
    if found is None:
        return None
    crashed = setting.session is not None and read_run(found).get("session") == setting.session
    return found if setting.resume or crashed else None


def _remember(folder: Path, record: Record, setting: Setting) -> Recall | None:
    """Read what an earlier part of a run left, if it is to go on; None where there is none.

    A worker that takes the place of a crashed one goes on with what that one began.
    """
    try:
        before = read_run(folder)
    except RunFolderError:
        if not setting.resume or not (folder / "responses.jsonl").exists():
            return None
        raise
    crashed = setting.session is not None and before.get("session") == setting.session
    if not (setting.resume or crashed):
        return None
    if before.get("client") != record["client"]:
        raise UsageError(
            f"the run in {folder} was answered by {before.get('client')}, not {record['client']}: "
            "resume it with the same client, or start anew without resuming"
        )
    hashes = ("manifest_sha256", "dataset_sha256")
    same = all(
        before.get("provenance", {}).get(name) == record["provenance"][name] for name in hashes
    )
    if not same and record["client"] not in FREE_CLIENTS:
        keep_copy(folder)
    record["parts"] = [*before.get("parts", [before.get("started_at")]), record["started_at"]]
    return Recall(folder)


def _ledgers(experiment: Experiment, session: Ledger | None, *, priced: bool) -> list[Ledger]:
    """List the budgets that a run's calls must fit."""
    limits = experiment.budget
    ledgers = [session] if session else []
    if limits.usd is not None or limits.tokens is not None:
        usd = None if limits.usd is None else Decimal(str(limits.usd))
        ledgers.append(Ledger(usd=usd, tokens=limits.tokens))
    in_money = priced and any(ledger.usd is not None for ledger in ledgers)
    if in_money and price_usd(experiment.model, {"input_tokens": 1, "output_tokens": 1}) is None:
        raise UsageError(
            f"a budget in USD needs a price, and that of {experiment.model} is not known: "
            "give the budget in tokens"
        )
    return ledgers
