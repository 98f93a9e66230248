"""Scripted answers from a JSON file, for practice and tests: no network, no SDK."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler import documents, validation
from pytest_experiment_profiler.errors import ClientError, UsageError
from pytest_experiment_profiler.experiment import Prompt, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_FAULTS = 5
"""Faults of a script that are told; the rest is counted."""

_OWN_KEYS = frozenset({"completion", "model", "stop_reason", "usage", "delay_s", "error"})
_RETRYABLE = frozenset({408, 409, 429})


class MockClient:
    """Answer each dialogue from a script: dialogue id -> text, object, or list of these."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._script = _load(path) if path else {}
        self._tries: Counter[tuple[str, int, int]] = Counter()

    async def complete(self, prompt: Prompt) -> Reply:
        """Answer a prompt; raise ClientError where the script has no answer, or an error."""
        answer = self._find(prompt)
        if not isinstance(answer, str) and answer.get("delay_s"):
            import asyncio  # noqa: PLC0415 -- only where a script asks for it

            await asyncio.sleep(answer["delay_s"])
        return self._reply(prompt, answer)

    def answer(self, prompt: Prompt) -> Reply:
        """Answer a prompt at once, where no event loop runs; raise as `complete` does."""
        return self._reply(prompt, self._find(prompt))

    def _reply(self, prompt: Prompt, answer: Any) -> Reply:  # noqa: ANN401 -- see _find
        if isinstance(answer, str):
            return Reply(text=answer, stop_reason="end_turn", model=prompt.model)
        if answer.get("error") is not None:
            self._fail(prompt, answer["error"])
        if not isinstance(answer.get("completion"), str):
            raise ClientError(
                f"the answer in {self._path} has no completion", kind="no_mock_answer"
            )
        return Reply(
            text=answer["completion"],
            stop_reason=answer.get("stop_reason", "end_turn"),
            usage=answer.get("usage", {}),
            model=answer.get("model", prompt.model),
            metadata={key: value for key, value in answer.items() if key not in _OWN_KEYS},
        )

    def _find(self, prompt: Prompt) -> Any:  # noqa: ANN401 -- a text or an object of the script
        if self._path is None:
            raise ClientError(
                "no mock answer: there is no mock_responses.json beside the dataset",
                kind="no_mock_answer",
            )
        if prompt.dialogue_id not in self._script:
            hint = validation.find_near(prompt.dialogue_id, list(self._script)[:1000])
            raise ClientError(
                f"no mock answer for this dialogue in {self._path}{hint}", kind="no_mock_answer"
            )
        answers = self._script[prompt.dialogue_id]
        if not isinstance(answers, list):
            answers = [answers]
        if prompt.turn >= len(answers):
            raise ClientError(
                f"no mock answer for turn {prompt.turn} of this dialogue in {self._path} "
                f"(it has {len(answers)})",
                kind="no_mock_answer",
            )
        return answers[prompt.turn]

    def _fail(self, prompt: Prompt, error: Mapping[str, Any]) -> None:
        call = (prompt.dialogue_id, prompt.turn, prompt.repeat)
        self._tries[call] += 1
        if "times" in error and self._tries[call] > error["times"]:
            return
        status = error.get("status", 500)
        raise ClientError(
            error.get("message", "scripted error"),
            retryable=status in _RETRYABLE or status >= 500,  # noqa: PLR2004
            retry_after_s=error.get("retry_after"),
            status=status,
            kind=error.get("type", "scripted_error"),
        )


def _load(path: Path) -> Mapping[str, Any]:
    try:
        script = documents.open_decoder().decode(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the mock answers in {path} can't be read: {error}") from error
    faults = validation.check(script, "mock_responses")
    if faults:
        told = "; ".join(_say(fault) for fault in faults[:MAX_FAULTS])
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise UsageError(f"the mock answers in {path} are wrong: {told}{more}")
    checked: Mapping[str, Any] = script
    return checked


def _say(fault: documents.Fault) -> str:
    where = f"{fault.steps[0]}: " if fault.at_key and fault.steps else ""
    return f"{where}{fault.message}"
