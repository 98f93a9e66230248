"""What a run would send and cost, without sending anything."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.budget import most_input_tokens
from pytest_experiment_profiler.clients import CLIENTS
from pytest_experiment_profiler.dialogues import read_dialogues
from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.experiment import Prompt, Reply, Turn
from pytest_experiment_profiler.pricing import FREE_CLIENTS, price_usd
from pytest_experiment_profiler.recall import Call, Recall
from pytest_experiment_profiler.records import hash_prompt
from pytest_experiment_profiler.runfolder import find_unfinished, read_run
from pytest_experiment_profiler.runner import hold_dialogue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Experiment

BYTES_A_TOKEN = 4
"""A usual size of a token of English text; only for the lower end."""


@dataclass(slots=True)
class Plan:
    """Calls to make, and the range of tokens and money; money is None where no price is known."""

    client: str | None
    calls: int = 0
    reused: int = 0
    least_input: int = 0
    most_input: int = 0
    most_output: int = 0
    least_usd: Decimal | None = field(default_factory=Decimal)
    most_usd: Decimal | None = field(default_factory=Decimal)

    def lines(self) -> Iterator[str]:
        """Say it in lines."""
        taken = f", {self.reused} answers taken over from the last run" if self.reused else ""
        yield f"calls to make: {self.calls:,}{taken}"
        yield (
            f"tokens: about {self.least_input:,} to {self.most_input:,} in, "
            f"{self.most_output:,} out at most"
        )
        if self.client in FREE_CLIENTS:
            yield f"cost: nothing ({self.client})"
        elif self.least_usd is None or self.most_usd is None:
            yield "cost: unknown (the model's price is not known)"
        else:
            yield f"cost: ${self.least_usd:.4f} to ${self.most_usd:.4f}"


def plan_run(
    experiment: Experiment,
    client: str | None,
    folder: Path,
    *,
    resume: bool,
    selected: Collection[str] | None = None,
) -> Plan:
    """Look through the prompts of an experiment, or of `selected` dialogues of it.

    `client` is None where it is the user's own. With `resume`, prompts whose answers the folder
    holds already are left out.
    """
    part = folder if selected is None else find_unfinished(folder, selected)
    plan = Plan(client=client)
    with ExitStack() as stack:
        memory = _remember(part, client, stack) if resume and part else None
        asyncio.run(_plan_all(experiment, plan, memory, selected))
    return plan


class _Memory(NamedTuple):
    """A run that would go on, and the client that answered it."""

    recall: Recall
    client: str


def _remember(folder: Path, client: str | None, stack: ExitStack) -> _Memory | None:
    try:
        before = str(read_run(folder).get("client"))
        if before != client and (client is not None or before in CLIENTS):
            return None
        recall = Recall(folder)
    except RunFolderError:
        return None
    stack.callback(recall.close)
    return _Memory(recall, before)


async def _plan_all(
    experiment: Experiment, plan: Plan, memory: _Memory | None, selected: Collection[str] | None
) -> None:
    for dialogue in read_dialogues(experiment.dataset_path):
        if selected is not None and dialogue.dialogue_id not in selected:
            continue
        for repeat in range(experiment.repeats):
            unknown = 0

            async def ask(prompt: Prompt) -> Turn:
                nonlocal unknown
                turn = None if memory is None else _recall(memory, prompt)
                if turn is not None and turn.reply is not None:
                    plan.reused += 1
                    return turn
                _count(plan, prompt, unknown)
                unknown += prompt.max_tokens
                return Turn(prompt=prompt, reply=Reply(text=""))

            await hold_dialogue(experiment, dialogue, repeat, ask)


def _recall(memory: _Memory, prompt: Prompt) -> Turn | None:
    digest = hash_prompt(prompt, memory.client)
    call = Call(prompt.dialogue_id, prompt.repeat, prompt.turn, digest)
    return memory.recall.recorded(call)


def _count(plan: Plan, prompt: Prompt, unknown: int) -> None:
    """Add a call; `unknown` are the most tokens of answers that its prompt will hold besides."""
    texts = [message.content for message in prompt.messages] + [prompt.system or ""]
    least = ceil(sum(len(text.encode()) for text in texts) / BYTES_A_TOKEN)
    most = most_input_tokens(prompt) + unknown
    plan.calls += 1
    plan.least_input += least
    plan.most_input += most
    plan.most_output += prompt.max_tokens
    if plan.client not in FREE_CLIENTS:
        plan.least_usd = _add(plan.least_usd, prompt.model, least, 1)
        plan.most_usd = _add(plan.most_usd, prompt.model, most, prompt.max_tokens)


def _add(total: Decimal | None, model: str, sent: int, received: int) -> Decimal | None:
    price = price_usd(model, {"input_tokens": sent, "output_tokens": received})
    return None if total is None or price is None else total + price
