"""Measure what reading one answer costs: refusals and facts together, in processor time.

    python benchmarks/metrics.py [--repeats 5]

Answers of 100, 1,000 and 10,000 characters first, each read with five facts; then 1 MB of texts
made to be slow to read. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_experiment_profiler.experiment import (
    Dialogue,
    Experiment,
    Fact,
    Message,
    Prompt,
    Reply,
    Transcript,
    Turn,
)
from pytest_experiment_profiler.metrics import read_answers

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (100, 1_000, 10_000)
BAR_MS = 2.0
BAR_SIZE = 1_000
BAR_GROWTH = 1.5
BAR_HOSTILE_S = 2.0
HOSTILE_SIZE = 1_000_000
PROSE = (
    "Rain forms when water evaporates from seas, lakes and plants and rises with warm air. Higher "
    "up the air cools, and the vapour settles on dust as tiny drops: a cloud of some 500 million "
    "tonnes is no rarity. However, it rains only once drops collide and grow to 0.5 mm or more.\n"
    "1. Evaporation: the sun lifts about 505,000 km³ of water each year.\n"
    "2. Condensation: drops form around salt or soot.\n"
    "In 1735 George Hadley explained the trade winds, and I can't think of a better start. If you "
    "would like to know more about fronts, let me know!\n\n"
)
FACTS = (
    Fact(wordings=("evaporation",)),
    Fact(wordings=("George Hadley", "Hadley")),
    Fact(wordings=("505,000 cubic kilometres", "half a million km³")),
    Fact(wordings=("condensation nuclei", "dust"), form="all_of"),
    Fact(wordings=(r"\b17\d\d\b",), form="regex"),
)
HOSTILE = {
    "one letter": "a",
    "one digit": "1",
    "blanks": " ",
    "line breaks": "\n",
    "quotation marks": '"',
    "apostrophes": "'a",
    "back quotes": "`",
    "brackets": "([{<",
    "thinking opened": "<think>",
    "thinking closed": "</think>",
    "salutations": "Dear A,\n",
    "speakers": "A: b\n",
    "refusals": "I cannot help. ",
    "half refusals": "I cannot ",
    "commas": "and, but, ",
    "numbers": "one hundred and ",
    "digits and commas": "1,",
    "accents": "\u0301",
    "ligatures": "\ufdfa",
    "near facts": "condensatoin nuclie ",
    "no blanks": "无法",
    "one sentence": "word ",
    "full stops": "a. ",
    "markup": "**_",
}


def make_experiment() -> Experiment:
    """Make the smallest experiment with both metrics."""
    return Experiment(
        experiment_id="cost",
        model="none",
        max_tokens=1,
        path=Path("cost_experiment.yaml"),
        dataset_path=Path("cost.json"),
        mock_responses=None,
        metrics=("fact_coverage", "refusal_rate"),
    )


def make_transcript(text: str) -> Transcript:
    """Make a dialogue of one turn with that answer."""
    dialogue = Dialogue(
        dialogue_id="rain",
        turns=("Where does rain come from?",),
        file=Path("cost.json"),
        line=1,
        position=0,
        required_facts=FACTS,
    )
    prompt = Prompt(
        model="none",
        system=None,
        messages=(Message(role="user", content=dialogue.turns[0]),),
        max_tokens=1,
        temperature=None,
        dialogue_id=dialogue.dialogue_id,
        turn=0,
        repeat=0,
    )
    turn = Turn(prompt=prompt, reply=Reply(text=text, stop_reason="end_turn"))
    return Transcript(dialogue=dialogue, repeat=0, turns=(turn,))


def time_reading(text: str, repeats: int, times: int) -> float:
    """Give the seconds of processor time that one reading takes, the best of several rounds."""
    transcript, experiment = make_transcript(text), make_experiment()
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        for _ in range(times):
            read_answers(transcript, experiment)
        best = min(best, (time.process_time() - started) / times)
    return best


def show_sizes(repeats: int) -> Iterator[bool]:
    """Print the cost by length, and give whether each bar holds."""
    read_answers(make_transcript(PROSE), make_experiment())  # so that all patterns are compiled
    cost_s: dict[int, float] = {}
    print("characters     ms an answer  ms per 1,000 characters")
    for size in SIZES:
        text = (PROSE * (size // len(PROSE) + 1))[:size]
        cost_s[size] = time_reading(text, repeats, times=100_000 // size)
        print(f"{size:10,}  {1e3 * cost_s[size]:13.3f}  {1e6 * cost_s[size] / size:23.3f}")
    yield _bar(
        f"{BAR_SIZE:,} characters", 1e3 * cost_s[BAR_SIZE], BAR_MS, "ms", "both metrics, one answer"
    )
    growth = cost_s[SIZES[-1]] / cost_s[SIZES[-2]] / (SIZES[-1] / SIZES[-2])
    yield _bar("growth", growth, BAR_GROWTH, "times", "10 times the length, by 10 times the cost")


def show_hostile() -> Iterator[bool]:
    """Print the cost of each hostile text, and give whether the worst holds the bar."""
    print(f"\n{HOSTILE_SIZE:,} characters of        s")
    worst = 0.0
    for name, piece in HOSTILE.items():
        cost_s = time_reading((piece * (HOSTILE_SIZE // len(piece))), repeats=1, times=1)
        worst = max(worst, cost_s)
        print(f"{name:24s} {cost_s:6.2f}")
    yield _bar("worst hostile text", worst, BAR_HOSTILE_S, "s", "1 MB")


def _bar(name: str, value: float, bar: float, unit: str, what: str) -> bool:
    holds = value < bar
    verdict = "yes" if holds else "NO"
    print(f"-> {name}: {value:.3f} {unit} ({what}), less than {bar:g}: {verdict}")
    return holds


def main() -> int:
    """Print costs and bars; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which the best counts")
    options = parser.parse_args()
    print(f"{datetime.now(UTC).date()}, Python {sys.version.split()[0]}\n")
    return 0 if all([*show_sizes(options.repeats), *show_hostile()]) else 1


if __name__ == "__main__":
    sys.exit(main())
