"""One dialogue held with a client: turn by turn, each answer part of the next prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_experiment_profiler.experiment import (
    Dialogue,
    Experiment,
    Message,
    Prompt,
    Transcript,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def hold_dialogue(
    experiment: Experiment,
    dialogue: Dialogue,
    repeat: int,
    ask: Callable[[Prompt], Awaitable[Turn | str]],
) -> Transcript:
    """Send a dialogue's turns one after the other; a refused or failed turn ends it.

    `ask` returns the turn, or the reason why it was not sent.
    """
    messages: list[Message] = []
    turns: list[Turn] = []
    for number, text in enumerate(dialogue.turns):
        messages.append(Message(role="user", content=text))
        prompt = Prompt(
            model=experiment.model,
            system=experiment.system if dialogue.system is None else dialogue.system,
            messages=tuple(messages),
            max_tokens=experiment.max_tokens,
            temperature=experiment.temperature,
            dialogue_id=dialogue.dialogue_id,
            turn=number,
            repeat=repeat,
        )
        turn = await ask(prompt)
        if isinstance(turn, str):
            return Transcript(dialogue=dialogue, repeat=repeat, turns=tuple(turns), not_run=turn)
        turns.append(turn)
        if turn.error or turn.reply is None or turn.refused:
            break
        messages.append(Message(role="assistant", content=turn.reply.text))
    return Transcript(dialogue=dialogue, repeat=repeat, turns=tuple(turns))
