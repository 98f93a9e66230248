"""Where each command of a grade finds its files, and what lies beside them to mislead it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from grader.desk import DEFAULT_ANSWERS, Layout

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

NAMES = ("north", "amber", "delta", "maple", "rowan")
PLACES = (
    *("here", "now", "configs", "store", "rows", "said", "sets", "set", "one", "deep", "end"),
    *("lists", "runs", "of", "late", "brand", "new"),
)
OTHERS = (
    *("acorn", "basil", "cedar", "dune", "ember", "fern", "glade", "heron", "inlet", "jetty"),
    *("kelp", "larch", "moor", "nettle", "otter", "pine", "quarry", "reed", "sorrel", "tarn"),
    *("umber", "vale", "willow", "yarrow", "zinnia", "birch", "clover", "drift", "elder", "flint"),
)
PLACE = re.compile(rf"\b(?:{'|'.join(PLACES)})\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Where a run happens: files, current folder, output below a writable folder, the key.

    Where a path could be looked for in another order, a decoy lies in the other place. `key` None
    is no key at all; a base URL is always there, with a recorder behind it.
    """

    layout: Layout
    cwd: str
    output: str
    below: tuple[str, ...] = ()
    key: str | None = None
    relative: bool = False


def settings(word: str, key: str) -> dict[str, Setting]:
    """Give the setting of each run."""
    return {
        "fresh": Setting(
            layout=Layout(
                manifest=f"configs/{word}.yaml",
                dataset=f"here/now/store/{word}.json",
                dataset_path=f"store/{word}.json",
                answers=f"here/now/store/{DEFAULT_ANSWERS}",
                metrics=("refusal_rate",),
                decoys=(
                    f"store/{word}.json",
                    f"store/{DEFAULT_ANSWERS}",
                    f"here/now/{DEFAULT_ANSWERS}",
                    f"configs/store/{DEFAULT_ANSWERS}",
                    f"configs/{DEFAULT_ANSWERS}",
                ),
            ),
            cwd="here/now",
            output="first",
            below=("runs", "of one Day"),
            key="",
        ),
        "live": Setting(
            layout=Layout(
                manifest="here/set.yaml",
                dataset=f"here/{word}.jsonl",
                dataset_path=f"{word}.jsonl",
                mock_responses=f"{word}-said.json",
                metrics=("fact_coverage",),
                last_line_ends=False,
                decoys=(f"here/{DEFAULT_ANSWERS}", f"here/{word}-said.json"),
            ),
            cwd="here",
            output="first",
            below=("runs", "of one Day"),
            key=key,
            relative=True,
        ),
        "rerun": Setting(
            layout=Layout(
                manifest=f"configs/{word}.yml",
                dataset=f"rows/{word}.jsonl",
                dataset_path=f"../rows/{word}.jsonl",
                answers=f"configs/said/{word}.json",
                mock_responses=f"said/{word}.json",
                metrics=("fact_coverage", "refusal_rate"),
                decoys=(
                    f"rows/{DEFAULT_ANSWERS}",
                    f"here/rows/{word}.jsonl",
                    f"here/now/said/{word}.json",
                    f"rows/said/{word}.json",
                ),
            ),
            cwd="here/now",
            output="first",
            below=("runs", "of one Day"),
        ),
        "moved": Setting(
            layout=Layout(
                manifest=f"sets/deep end/{word}.yaml",
                dataset=f"here/lists/{word} #2, für alle.json",
                dataset_path=f"lists/{word} #2, für alle.json",
                answers=f"here/{word}: said.json",
                mock_responses=f"{word}: said.json",
                decoys=(
                    f"here/lists/{DEFAULT_ANSWERS}",
                    f"here/lists/{word}: said.json",
                    f"sets/{word}: said.json",
                    f"sets/lists/{word} #2, für alle.json",
                ),
            ),
            cwd="here",
            output="second",
            below=("of late",),
            key="",
            relative=True,
        ),
        "zero": Setting(
            layout=Layout(
                manifest="set.yaml",
                dataset=f"{word}.jsonl",
                dataset_path=f"{word}.jsonl",
                last_line_ends=False,
                decoys=(f"here/now/{word}.jsonl",),
            ),
            cwd="here/now",
            output="third",
            below=("brand new", "And deep"),
            key=key,
            relative=True,
        ),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An experiment that can't be run: what its dataset holds, None if there is none."""

    layout: Layout
    cwd: str
    dataset: str | None


Placed = TypeVar("Placed", Setting, Failure)


def draw_words(chance: random.Random) -> dict[str, str]:
    """Draw another word for each that stands in the paths here."""
    return dict(zip(PLACES, chance.sample(OTHERS, len(PLACES)), strict=True))


def rename(placed: Placed, words: Mapping[str, str]) -> Placed:
    """Put other words into all paths, for none may tell a program which command it is."""

    def other(path: str) -> str:
        return PLACE.sub(lambda found: words[found[0]], path)

    old = placed.layout
    layout = replace(
        old,
        manifest=other(old.manifest),
        dataset=other(old.dataset),
        dataset_path=other(old.dataset_path),
        answers=old.answers and other(old.answers),
        mock_responses=old.mock_responses and other(old.mock_responses),
        decoys=tuple(map(other, old.decoys)),
    )
    placed = replace(placed, layout=layout, cwd=other(placed.cwd))
    if isinstance(placed, Setting):
        return replace(placed, below=tuple(map(other, placed.below)))
    return placed


def failures() -> dict[str, Failure]:
    """Give each experiment that must end in an error."""
    right = {"sets/one/lists/", "here/lists/"}
    middle = ("", "data/", "experiments/data/")
    above = ("", "sets/", "sets/one/", "here/")
    places = {"".join(parts) for parts in itertools.product(above, middle, ("", "lists/"))}
    missing = Layout(
        manifest="sets/one/set.yaml",
        dataset="sets/one/lists/rows.json",
        dataset_path="lists/rows.json",
        decoys=tuple(
            f"{place}{name}"
            for place in sorted(places)
            for name in (DEFAULT_ANSWERS, "rows.jsonl" if place in right else "rows.json")
        ),
    )
    return {
        "missing_dataset": Failure(layout=missing, cwd="here", dataset=None),
        **{
            name: Failure(
                layout=Layout(
                    manifest="set.yaml", dataset=file, dataset_path=file, answers=DEFAULT_ANSWERS
                ),
                cwd=".",
                dataset=text,
            )
            for name, file, text in (
                ("empty_array", "rows.json", "[]\n"),
                ("empty_lines", "rows.jsonl", ""),
            )
        },
    }
