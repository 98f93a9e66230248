"""The logs of a run folder → what its page shows of each dialogue and repeat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.runfolder import read_records
from pytest_experiment_profiler.statistics import join_repeats, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_experiment_profiler.records import Record

_SCORE_KEYS = frozenset(
    {"dialogue_id", "repeat", "outcome", "fact_coverage", "facts", "refusal", "metric_errors"}
)
_DIALOGUE_KEYS = ("dialogue_id", "system", "user", "turns", "required_facts", "_place")
_REQUEST_KEYS = ("temperature", "max_tokens")
_RESPONSE_KEYS = ("model", "stop_reason", "usage", "latency_s", "request_id", "attempts", "error")
_LATER_KEYS = ("prompt_hash", "sent_at", "metadata")


@dataclass(slots=True)
class Seen:
    """What was met while the dialogues went by: texts that many share, and broken gates.

    `unjudged`: metrics whose gates for single dialogues can't be told from the scores.
    """

    systems: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    unjudged: set[str] = field(default_factory=set)

    def number(self, system: str | None) -> int | None:
        """Give a system prompt's place in the list."""
        return None if system is None else self.systems.setdefault(system, len(self.systems))


class _Log:
    """The lines of a log that stands in dataset order, dialogue by dialogue."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = enumerate(read_records(path), start=1)
        self._next = next(self._lines, None)

    def take(self, dialogue_id: str) -> list[tuple[int, Record]]:
        """Take the lines of the next dialogue; none where it has none."""
        taken = []
        while self._next is not None and self._next[1]["dialogue_id"] == dialogue_id:
            taken.append(self._next)
            self._next = next(self._lines, None)
        return taken

    def check_end(self) -> None:
        """Raise RunFolderError where a line was left over."""
        if self._next is not None:
            number, record = self._next
            raise RunFolderError(
                f"{self._path}:{number}: a line of {record['dialogue_id']} stands where the order "
                "of dialogues.jsonl has none; resume the run, which puts its logs into order"
            )


def read_entries(folder: Path, run: Record, seen: Seen) -> Iterator[Record]:
    """Yield what the page shows of each dialogue and repeat."""
    limits = run["experiment"]["gates"].get("dialogue", {})
    logs = [_Log(folder / f"{name}.jsonl") for name in ("requests", "responses", "scores")]
    for dialogue in read_records(folder / "dialogues.jsonl"):
        requests, responses, scores = (log.take(dialogue["dialogue_id"]) for log in logs)
        held = [score for _, score in scores if score["outcome"] != "not_run"]
        broken = list(_find_broken(limits, held, seen)) if held else []
        seen.broken += bool(broken)
        for repeat in range(run["experiment"]["repeats"]):
            sent = {r["turn"]: r for _, r in requests if r["repeat"] == repeat}
            came = [(line, r) for line, r in responses if r["repeat"] == repeat]
            turns = [_turn_entry(sent[r["turn"]], r, line, seen) for line, r in came]
            score = next((s for _, s in scores if s["repeat"] == repeat), None)
            if turns and score is None:
                raise RunFolderError(
                    f"{folder / 'scores.jsonl'} lacks {dialogue['dialogue_id']}; "
                    "write it anew with summarize --rescore"
                )
            yield _entry(dialogue, repeat, turns, score or {}) | {"broken": broken}
    for log in logs:
        log.check_end()


def _entry(dialogue: Record, repeat: int, turns: list[Record], score: Record) -> Record:
    place = dialogue["_place"]
    asked = dialogue.get("turns") or [dialogue["user"]]
    return {
        "id": dialogue["dialogue_id"],
        "repeat": repeat,
        "place": f"{place['file']}:{place['line']}",
        "extra": {key: value for key, value in dialogue.items() if key not in _DIALOGUE_KEYS},
        "outcome": score.get("outcome", "not_run"),
        "coverage": score.get("fact_coverage"),
        "facts": score.get("facts", []),
        "expected": [] if score else dialogue["required_facts"],
        "refusal": score.get("refusal", []),
        "own": {name: ratio([join_repeats([value])]) for name, value in _own(score)},
        "turns": turns,
        "unsent": asked[len(turns) :],
    }


def _own(score: Record) -> Iterator[tuple[str, Any]]:
    """Yield the own metrics of a line of scores.jsonl."""
    for name, value in score.items():
        if name not in _SCORE_KEYS:
            yield name, tuple(value) if isinstance(value, list) else value


def _turn_entry(request: Record, response: Record, line: int, seen: Seen) -> Record:
    return {
        "system": seen.number(request["prompt"]["system"]),
        "user": request["prompt"]["user"],
        "answer": response["completion"],
        "line": line,
        **{key: request[key] for key in _REQUEST_KEYS},
        **{key: response[key] for key in _RESPONSE_KEYS},
        **{key: response.get(key) for key in _LATER_KEYS},
    }


def _find_broken(
    limits: Mapping[str, Mapping[str, float]], scores: Sequence[Record], seen: Seen
) -> Iterator[str]:
    """Say which gates for single dialogues one dialogue breaks."""
    values = [dict(_values(score)) for score in scores]
    for metric, bounds in limits.items():
        if not any(metric in known for known in values):
            seen.unjudged.add(metric)
            continue
        value = ratio([join_repeats(known.get(metric) for known in values)])
        if value is None:
            yield f"{metric} has no value"
        elif value < bounds.get("min", value):
            yield f"{metric} {value:.4f} is below its minimum of {bounds['min']}"
        elif value > bounds.get("max", value):
            yield f"{metric} {value:.4f} is above its maximum of {bounds['max']}"


def _values(score: Record) -> Iterator[tuple[str, Any]]:
    """Yield the metrics that a line of scores.jsonl tells."""
    labels = [refusal["label"] for refusal in score["refusal"]]
    yield "fact_coverage", score["fact_coverage"]
    yield "refusal_rate", (labels.count("full"), len(labels))
    yield from _own(score)
