"""The nouns as JSON records, and back: the format of a run folder's lines."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pytest_experiment_profiler.documents import open_encoder
from pytest_experiment_profiler.experiment import (
    Attempt,
    Dialogue,
    Fact,
    Failure,
    Message,
    Prompt,
    Reply,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Record: TypeAlias = dict[str, Any]


class Span(NamedTuple):
    """Where a line stands in its file, in bytes."""

    offset: int
    length: int


_write_json = open_encoder(ensure_ascii=True)
FACT_FORMS = ("any_of", "all_of", "none_of", "regex")


def dialogue_record(dialogue: Dialogue) -> dict[str, Any]:
    """Say all of a dialogue, so that a run folder can be scored and resumed by itself."""
    values: dict[str, Any] = {"dialogue_id": dialogue.dialogue_id}
    if dialogue.system is not None:
        values["system"] = dialogue.system
    if len(dialogue.turns) == 1:
        values["user"] = dialogue.turns[0]
    else:
        values["turns"] = list(dialogue.turns)
    values["required_facts"] = [fact_record(fact) for fact in dialogue.required_facts]
    place = {"file": str(dialogue.file), "line": dialogue.line, "position": dialogue.position}
    return values | dict(dialogue.extra) | {"_place": place}


def parse_dialogue(values: Record) -> Dialogue:
    """Read a dialogue back from its record."""
    known = ("dialogue_id", "system", "user", "turns", "required_facts", "_place")
    place = values["_place"]
    if not all(isinstance(tag, str) for tag in values.get("tags", ())):
        raise TypeError("tags are names")
    return Dialogue(
        dialogue_id=values["dialogue_id"],
        system=values.get("system"),
        turns=tuple(values["turns"]) if "turns" in values else (values["user"],),
        required_facts=tuple(parse_fact(fact) for fact in values["required_facts"]),
        file=Path(place["file"]),
        line=place["line"],
        position=place["position"],
        extra={key: value for key, value in values.items() if key not in known},
    )


def fact_record(fact: Fact) -> Any:  # noqa: ANN401 -- one of the JSON forms
    """Turn a fact into the shortest JSON form that says the same."""
    if fact.form == "any_of" and fact.turn is None:
        return fact.wordings[0] if len(fact.wordings) == 1 else list(fact.wordings)
    words: Any = fact.wordings[0] if fact.form == "regex" else list(fact.wordings)
    return {fact.form: words} | ({} if fact.turn is None else {"turn": fact.turn})


def parse_fact(values: Any) -> Fact:  # noqa: ANN401 -- one of the JSON forms
    """Read a fact from its JSON form; raise TypeError, ValueError or KeyError if it is none."""
    if isinstance(values, str):
        return Fact(wordings=(values,))
    given = values if isinstance(values, dict) else {"any_of": values}
    form = next((form for form in FACT_FORMS if form in given), "any_of")
    words = (given[form],) if form == "regex" else tuple(given[form])
    if not all(isinstance(word, str) for word in words):
        raise TypeError("the wordings of a fact are text")
    return Fact(wordings=words, form=form, turn=given.get("turn"))  # type: ignore[arg-type]


def hash_prompt(prompt: Prompt, client: str) -> str:
    """Name what a call sends and to whom by 16 hexadecimal digits of its SHA-256."""
    sent = [client, prompt.model, prompt.max_tokens, prompt.temperature, prompt.system]
    messages = [[m.role, m.content] for m in prompt.messages]
    return hashlib.sha256(_write_json([sent, messages]).encode()).hexdigest()[:16]


def request_record(prompt: Prompt, digest: str, attempts: Sequence[Attempt] = ()) -> Record:
    """Say what a call sends; `digest` is its hash, `attempts` are those made before."""
    values: Record = {
        "dialogue_id": prompt.dialogue_id,
        "turn": prompt.turn,
        "repeat": prompt.repeat,
        "prompt_hash": digest,
        "model": prompt.model,
        "temperature": prompt.temperature,
        "max_tokens": prompt.max_tokens,
        "prompt": {"system": prompt.system, "user": prompt.messages[-1].content},
    }
    if len(prompt.messages) > 1:
        values["messages"] = [{"role": m.role, "content": m.content} for m in prompt.messages]
    if attempts:
        values["attempts"] = [_attempt_record(attempt) for attempt in attempts]
    return values


def response_record(turn: Turn, digest: str, *, with_metadata: bool = True) -> Record:
    """Say how a call ended."""
    reply, prompt = turn.reply, turn.prompt
    values: Record = {
        "dialogue_id": prompt.dialogue_id,
        "turn": prompt.turn,
        "repeat": prompt.repeat,
        "prompt_hash": digest,
        "completion": reply.text if reply else None,
        "model": (reply.model if reply else None) or prompt.model,
        "stop_reason": reply.stop_reason if reply else None,
        "usage": dict(reply.usage) if reply else {},
        "sent_at": turn.sent_at,
        "latency_s": turn.latency_s,
        "request_id": reply.request_id if reply else None,
        "attempts": [_attempt_record(attempt) for attempt in turn.attempts],
        "error": {"type": turn.error.type, "message": turn.error.message} if turn.error else None,
    }
    if with_metadata:
        values["metadata"] = dict(reply.metadata) if reply else {}
    return values


def _attempt_record(attempt: Attempt) -> Record:
    values: Record = {
        "status": attempt.status,
        "error": attempt.error,
        "waited_s": attempt.waited_s,
    }
    return values | ({"lost": True} if attempt.lost else {})


def parse_prompt(request: Record) -> Prompt:
    """Read what a call sent back from its record."""
    sent = request.get("messages") or [{"role": "user", "content": request["prompt"]["user"]}]
    return Prompt(
        model=request["model"],
        system=request["prompt"]["system"],
        messages=tuple(Message(role=m["role"], content=m["content"]) for m in sent),
        max_tokens=request["max_tokens"],
        temperature=request["temperature"],
        dialogue_id=request["dialogue_id"],
        turn=request["turn"],
        repeat=request["repeat"],
    )


def parse_attempts(record: Record) -> tuple[Attempt, ...]:
    """Read back the attempts that a request or a response names."""
    return tuple(Attempt(**attempt) for attempt in record.get("attempts", ()))


def _parse_reply(response: Record) -> Reply:
    reply = Reply(
        text=response["completion"],
        stop_reason=response["stop_reason"],
        usage=response["usage"],
        request_id=response["request_id"],
        model=response["model"],
        metadata=response.get("metadata", {}),
    )
    if not isinstance(reply.text, str) or not isinstance(reply.stop_reason, str | None):
        raise TypeError("completion and stop_reason of an answer are text")
    if not isinstance(reply.usage, dict):
        raise TypeError("usage of an answer is an object")
    return reply


def parse_turn(request: Record, response: Record) -> Turn:
    """Read a call back from its two records."""
    failure = response["error"]
    return Turn(
        prompt=parse_prompt(request),
        reply=None if failure else _parse_reply(response),
        error=Failure(type=failure["type"], message=failure["message"]) if failure else None,
        attempts=parse_attempts(response),
        sent_at=response.get("sent_at"),
        latency_s=response["latency_s"],
    )
