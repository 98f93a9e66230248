"""The nouns of a hidden case: an experiment, its dialogues, the answers to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the mock or the API says; `bare` is an answer that the mock file gives as a text."""

    text: str
    stop_reason: str | None = None
    model: str | None = None
    usage: tuple[int, int] | None = None
    bare: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """A line of a dataset with its answer; a fact is the tuple of its wordings."""

    dialogue_id: str
    user: str
    system: str | None
    facts: tuple[tuple[str, ...], ...]
    answer: Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An experiment that no submission has seen."""

    experiment_id: str
    model: str
    max_tokens: int
    temperature: float
    dialogues: tuple[Dialogue, ...]
