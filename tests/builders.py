"""Nouns with defaults, a project on disk, and clients that do as they are told."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler.experiment import (
    Dialogue,
    Experiment,
    Fact,
    FactMatch,
    Failure,
    Message,
    Prompt,
    Refusal,
    Reply,
    Transcript,
    Turn,
)
from pytest_experiment_profiler.metrics.own import Own
from pytest_experiment_profiler.provenance import experiment_record
from pytest_experiment_profiler.summary import summarize, summary_record
from pytest_experiment_profiler.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SAMPLE = Path(__file__).parent.parent / "experiments"

TABLE = """\
    Experiment Metrics
        (demo_run)
┏━━━━━━━━━━━━━━━━┳━━━━━━━━┓
┃ Metric         ┃  Value ┃
┡━━━━━━━━━━━━━━━━╇━━━━━━━━┩
│ fact_coverage  │ 0.8889 │
│ geometric_mean │ 0.7698 │
│ refusal_rate   │ 0.3333 │
└────────────────┴────────┘"""


def make_experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "experiment_id": "demo_run",
        "model": "claude-haiku-4-5",
        "max_tokens": 200,
        "path": Path("demo_experiment.yaml"),
        "dataset_path": Path("dialogues.json"),
        "mock_responses": None,
        "metrics": ("fact_coverage", "geometric_mean", "refusal_rate"),
    }
    return Experiment(**values | changes)


def make_dialogue(**changes: Any) -> Dialogue:
    values: dict[str, Any] = {
        "dialogue_id": "water",
        "turns": ("Where does rain come from?",),
        "file": Path("dialogues.json"),
        "line": 2,
        "position": 0,
    }
    return Dialogue(**values | changes)


def make_prompt(text: str = "Where does rain come from?", **changes: Any) -> Prompt:
    values: dict[str, Any] = {
        "model": "claude-haiku-4-5",
        "system": None,
        "messages": (Message(role="user", content=text),),
        "max_tokens": 200,
        "temperature": None,
        "dialogue_id": "water",
        "turn": 0,
        "repeat": 0,
    }
    return Prompt(**values | changes)


def make_turn(text: str | None = "From clouds.", *, stop: str = "end_turn", **changes: Any) -> Turn:
    """Make a turn with that answer; with None the call failed."""
    values: dict[str, Any] = {
        "prompt": make_prompt(),
        "reply": None if text is None else Reply(text=text, stop_reason=stop),
        "error": Failure(type="overloaded_error", message="busy") if text is None else None,
    }
    return Turn(**values | changes)


def make_transcript(*turns: Turn, **changes: Any) -> Transcript:
    values: dict[str, Any] = {"dialogue": make_dialogue(), "repeat": 0, "turns": turns}
    return Transcript(**values | changes)


def make_read_transcript(
    found: int = 0, expected: int = 0, labels: str = "n", name: str = "water", repeat: int = 0
) -> Transcript:
    """Make a transcript that was read: facts, and a letter a turn: n(one), p(artial), f(ull),
    e(rror).
    """
    facts = tuple(Fact(wordings=(f"fact {i}",)) for i in range(expected))
    words = {"n": "none", "p": "partial", "f": "full"}
    refusals: list[Any] = [Refusal(label=words[c], score=0.0) for c in labels if c != "e"]  # type: ignore[arg-type]
    turns = tuple(make_turn(None if letter == "e" else "Text.") for letter in labels)
    return make_transcript(
        *turns,
        dialogue=make_dialogue(dialogue_id=name, required_facts=facts),
        repeat=repeat,
        facts=tuple(FactMatch(fact=fact, found=i < found) for i, fact in enumerate(facts)),
        refusals=tuple(refusals),
    )


def sum_up(
    *dialogues: Any,
    client: str = "mock",
    own: Any = (),
    priced: bool = False,
    **changes: Any,
) -> dict[str, Any]:
    """Sum up a run; each dialogue is a transcript, or a list of them: its repeats."""
    tally = Tally(priced=priced)
    for number, transcripts in enumerate(dialogues):
        held = transcripts if isinstance(transcripts, list) else [transcripts]
        values = own[number] if own else {}
        measured = values if isinstance(values, Own) else Own(values=values)
        tally.add(held, [measured] * len(held))
    total = len(dialogues)
    run = {
        "client": client,
        "experiment": experiment_record(make_experiment(**changes)),
        "selection": {"dialogues": total, "selected": total, "ids": None},
        "provenance": {},
    }
    return summary_record(summarize(run, tally))


def write_project(
    folder: Path,
    dialogues: Iterable[dict[str, Any]] | int = 3,
    answers: dict[str, Any] | None = None,
    *,
    name: str = "demo",
    **keys: Any,
) -> Path:
    """Write a manifest, its dataset and, unless `answers` is {}, mock answers; return the first.

    A number of dialogues gives `d0`, `d1` ..., each answered with its fact.
    """
    rows: list[dict[str, Any]]
    if isinstance(dialogues, int):
        rows = [
            {"dialogue_id": f"d{i}", "user": f"Question {i}?", "required_facts": [f"fact{i}"]}
            for i in range(dialogues)
        ]
    else:
        rows = list(dialogues)
    if answers is None:
        answers = {row["dialogue_id"]: f"It is fact{i}." for i, row in enumerate(rows)}
    data = folder / f"{name}_data"
    data.mkdir(parents=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    (data / "dialogues.json").write_text(f"[\n{lines}\n]\n", "utf-8")
    if answers:
        (data / "mock_responses.json").write_text(json.dumps(answers), "utf-8")
    manifest = folder / f"{name}_experiment.yaml"
    values = {
        "experiment_id": f"{name}_run",
        "model": "claude-haiku-4-5",
        "max_tokens": 200,
        "dataset_path": f"{name}_data/dialogues.json",
    }
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in (values | keys).items())
    manifest.write_text(text, "utf-8")
    return manifest


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@contextmanager
def limit_files(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as if the disk were full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Teller:
    """An async client: answers by a function of the prompt, remembers what it was asked."""

    def __init__(self, answer: Callable[[Prompt], Reply] | None = None) -> None:
        self.asked: list[Prompt] = []
        self.closed = 0
        self._answer = answer or (lambda prompt: Reply(text=f"Answer to {prompt.dialogue_id}."))

    async def complete(self, prompt: Prompt) -> Reply:
        self.asked.append(prompt)
        return self._answer(prompt)

    async def aclose(self) -> None:
        self.closed += 1


class BlockingTeller:
    """The same, plain: `complete` blocks its thread."""

    def __init__(self, answer: Callable[[Prompt], Reply] | None = None) -> None:
        self.threads: set[int] = set()
        self.closed = 0
        self._answer = answer or (lambda prompt: Reply(text=f"Answer to {prompt.dialogue_id}."))

    def complete(self, prompt: Prompt) -> Reply:
        self.threads.add(threading.get_ident())
        return self._answer(prompt)

    def close(self) -> None:
        self.closed += 1
