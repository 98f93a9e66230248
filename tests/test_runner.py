"""A dialogue's prompts, turn by turn."""

from __future__ import annotations

import asyncio

from pytest_experiment_profiler.experiment import Message, Prompt, Reply, Turn
from pytest_experiment_profiler.runner import hold_dialogue
from tests.builders import make_dialogue, make_experiment, make_turn


def hold(*answers, experiment=None, dialogue=None):
    """Hold a dialogue of three turns; return its transcript and the prompts."""
    asked: list[Prompt] = []
    script = iter(answers)

    async def ask(prompt: Prompt) -> Turn | str:
        asked.append(prompt)
        answer = next(script)
        return answer if isinstance(answer, str) else answer(prompt)

    dialogue = dialogue or make_dialogue(turns=("One?", "Two?", "Three?"))
    held = hold_dialogue(experiment or make_experiment(), dialogue, 4, ask)
    return asyncio.run(held), asked


def answer(text, stop="end_turn"):
    return lambda prompt: Turn(prompt=prompt, reply=Reply(text=text, stop_reason=stop))


def fail(prompt):
    return make_turn(None, prompt=prompt)


def roles(prompt):
    return [(message.role, message.content) for message in prompt.messages]


def test_each_answer_is_part_of_the_next_prompt():
    transcript, asked = hold(answer("1."), answer("2."), answer("3."))
    assert roles(asked[2]) == [
        ("user", "One?"),
        ("assistant", "1."),
        ("user", "Two?"),
        ("assistant", "2."),
        ("user", "Three?"),
    ]
    assert asked[0].messages == (Message(role="user", content="One?"),)
    assert [(p.dialogue_id, p.turn, p.repeat) for p in asked] == [("water", i, 4) for i in range(3)]
    assert (transcript.outcome, transcript.text) == ("ok", "1.\n\n2.\n\n3.")


def test_the_manifest_says_how_to_ask():
    experiment = make_experiment(model="m", max_tokens=7, temperature=0.5)
    prompt = hold("no", experiment=experiment)[1][0]
    assert (prompt.model, prompt.max_tokens, prompt.temperature) == ("m", 7, 0.5)


def test_a_dialogue_has_its_own_system_prompt_or_the_manifests():
    experiment = make_experiment(system="Be brief.")
    systems = [
        hold("no", experiment=experiment, dialogue=make_dialogue(system=system))[1][0].system
        for system in (None, "Be long.", "")
    ]
    assert systems == ["Be brief.", "Be long.", ""]


def test_a_refused_turn_ends_the_dialogue():
    transcript, asked = hold(answer("1."), answer("", "refusal"))
    assert len(asked) == len(transcript.turns) == 2
    assert (transcript.outcome, transcript.turns[1].refused) == ("ok", True)


def test_a_failed_turn_ends_the_dialogue():
    transcript, asked = hold(answer("1."), fail)
    assert (len(asked), transcript.outcome) == (2, "error")


def test_a_turn_that_was_not_sent_is_not_run():
    transcript, asked = hold(answer("1."), "stopped: enough")
    assert (transcript.outcome, transcript.not_run) == ("not_run", "stopped: enough")
    assert (len(asked), len(transcript.turns)) == (2, 1)


def test_an_empty_answer_goes_on():
    transcript, asked = hold(answer(""), answer("2."), answer("3."))
    assert (transcript.outcome, len(asked)) == ("ok", 3)
