"""What is allowed in a dataset and yet probably not meant: warnings, a line a kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.validation import find_near

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONG_FACT = 80
"""Characters from which a wording is taken for a sentence, which is seldom said word by word."""

_KEYS = frozenset({"system", "user", "turns", "required_facts", "cluster", "tags"})

_KINDS = {
    "echo": "expect a fact whose wording stands in their own prompt",
    "silence": "expect nothing but none_of facts, which an answer about nothing satisfies",
    "sentence": f"expect a fact of over {LONG_FACT} characters; all_of with key words finds more",
}


@dataclass(slots=True)
class Doubts:
    """Counts of dialogues that look wrong, and the line of the first one of each kind."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def look_at(self, values: Mapping[str, Any], line: int) -> None:
        """Look at one valid row of a dataset."""
        for kind in _find_kinds(values):
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.first.setdefault(kind, line)
        for key in values.keys() - self.keys.keys():
            hint = find_near(key, _KEYS - values.keys(), cutoff=0.8)
            self.keys[key] = f"a dialogue has a key {key!r}{hint} (line {line})" if hint else ""

    def lines(self) -> Iterator[str]:
        """Say each kind in a line."""
        yield from filter(None, self.keys.values())
        for kind, count in self.counts.items():
            dialogues = "1 dialogue" if count == 1 else f"{count} dialogues"
            verb = _KINDS[kind].replace("expect", "expects", 1) if count == 1 else _KINDS[kind]
            yield f"{dialogues} {verb} (line {self.first[kind]})"


def _find_kinds(values: Mapping[str, Any]) -> Iterator[str]:
    facts = values.get("required_facts", ())
    wanted = [word for fact in facts for word in _wordings(fact)]
    if facts and not wanted and all("none_of" in fact for fact in facts):
        yield "silence"
    if max(map(len, wanted), default=0) > LONG_FACT:
        yield "sentence"
    asked = " ".join([values.get("system") or "", values.get("user", ""), *values.get("turns", ())])
    if any(map(asked.casefold().__contains__, map(str.casefold, wanted))):
        yield "echo"


def _wordings(fact: Any) -> list[str]:  # noqa: ANN401 -- a valid JSON form
    """List the wordings that an answer is expected to hold."""
    if isinstance(fact, str):
        return [fact]
    if isinstance(fact, list):
        return fact
    return [*fact.get("any_of", ()), *fact.get("all_of", ())]
