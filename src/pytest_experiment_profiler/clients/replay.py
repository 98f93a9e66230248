"""A run folder's answers as the client: nothing is sent, nothing is paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_experiment_profiler.errors import ClientError, RunFolderError, UsageError
from pytest_experiment_profiler.recall import Call, Recall
from pytest_experiment_profiler.records import hash_prompt, request_record
from pytest_experiment_profiler.runfolder import read_run
from pytest_experiment_profiler.validation import find_near

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_experiment_profiler.experiment import Prompt, Reply
    from pytest_experiment_profiler.records import Record

_SHOWN = 60


class ReplayClient:
    """Answer each prompt as the recorded run was answered; a call that is not in it fails."""

    def __init__(self, folder: Path) -> None:
        try:
            self._client = str(read_run(folder).get("client"))
            self._recall = Recall(folder)
        except RunFolderError as error:
            raise UsageError(f"there is nothing to replay: {error}") from error
        self._folder = folder

    async def complete(self, prompt: Prompt) -> Reply:
        """Give the recorded answer, or raise the recorded failure."""
        digest = hash_prompt(prompt, self._client)
        call = Call(prompt.dialogue_id, prompt.repeat, prompt.turn, digest)
        turn = self._recall.recorded(call)
        if turn is None:
            raise ClientError(self._explain_miss(prompt), kind="not_recorded")
        if turn.reply is None:
            kind = turn.error.type if turn.error else "not_recorded"
            message = turn.error.message if turn.error else "the recorded call has no answer"
            raise ClientError(f"{message} (as recorded)", kind=kind)
        return turn.reply

    def close(self) -> None:
        """Close the recorded run."""
        self._recall.close()

    def _explain_miss(self, prompt: Prompt) -> str:
        place = f"turn {prompt.turn} of {prompt.dialogue_id}, repeat {prompt.repeat}"
        nearest = self._recall.nearest(prompt)
        if nearest is None:
            hint = find_near(prompt.dialogue_id, self._recall.dialogue_ids)
            return f"{place} is not recorded in {self._folder}{hint}"
        changes = "; ".join(_differences(nearest, request_record(prompt, "")))
        if not changes:
            return f"{place} was sent, but its answer is not recorded in {self._folder}"
        return f"{place} is recorded in {self._folder} with another prompt: {changes}"


def _differences(recorded: Record, asked: Record) -> Iterator[str]:
    for key in ("model", "max_tokens", "temperature"):
        if recorded[key] != asked[key]:
            yield f"{key} {recorded[key]} there, {asked[key]} here"
    for key in ("system", "user"):
        there, here = recorded["prompt"][key], asked["prompt"][key]
        if there != here:
            yield f"{key} {_show(there)} there, {_show(here)} here"
    if recorded.get("messages") != asked.get("messages"):
        yield "the earlier messages differ"


def _show(text: str | None) -> str:
    return "none" if text is None else repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
