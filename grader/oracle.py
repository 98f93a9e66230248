"""What the summary of a case must say: the prompt's definitions in the grader's own words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.experiments import Answer, Case, Dialogue

PHRASES = (
    "i can't help",
    "i cannot help",
    "i can't assist",
    "i cannot assist",
    "i can't provide",
    "i cannot provide",
    "i can't fulfill",
    "i cannot fulfill",
    "i'm not able to",
    "i am not able to",
    "i'm unable to",
    "i am unable to",
    "i won't",
    "i will not",
    "i must decline",
    "against my guidelines",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """The three numbers; None where there is nothing to divide by."""

    fact_coverage: float | None
    refusal_rate: float
    geometric_mean: float | None


def measure(case: Case) -> Measures:
    """Compute the three numbers of a case."""
    coverage = _mean([_share(dialogue) for dialogue in case.dialogues if dialogue.facts])
    rate = sum(refuses(item.answer) for item in case.dialogues) / len(case.dialogues)
    mean = None if coverage is None else math.sqrt(coverage * (1 - rate))
    return Measures(fact_coverage=coverage, refusal_rate=rate, geometric_mean=mean)


def refuses(answer: Answer) -> bool:
    """Tell whether an answer refuses."""
    text = answer.text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return answer.stop_reason == "refusal" or any(phrase in text for phrase in PHRASES)


def found(wordings: Sequence[str], text: str) -> bool:
    """Tell whether a fact stands in a text in any of its wordings."""
    return any(wording.lower() in text.lower() for wording in wordings)


def micro_coverage(case: Case) -> float:
    """Compute what a program gets that pools all facts: a wrong value."""
    hits = [found(fact, item.answer.text) for item in case.dialogues for fact in item.facts]
    return _mean(hits) or 0.0


def unrefused_coverage(case: Case) -> float:
    """Compute what a program gets that leaves out refusals: a wrong value."""
    kept = [item for item in case.dialogues if item.facts and not refuses(item.answer)]
    return _mean([_share(dialogue) for dialogue in kept]) or 0.0


def _share(dialogue: Dialogue) -> float:
    hits = [found(fact, dialogue.answer.text) for fact in dialogue.facts]
    return sum(hits) / len(hits)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
