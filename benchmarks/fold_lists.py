"""The hand-written lists of refusals → the shipped ones, spelt as sentences are read.

    python benchmarks/fold_lists.py

`refusal_frames.json` beside this file is written with accents, for people; folding them at each
start would take a reader longer than its first hundred answers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.metrics import refusal_lists
from pytest_experiment_profiler.metrics.plain_words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCE = Path(__file__).with_name("refusal_frames.json")
SHIPPED = Path(refusal_lists.__file__).with_name("refusal_lists.json")
_SIGNS = "?|!^$.{}"


def fold_lists(lists: Mapping[str, Any]) -> dict[str, Any]:
    """Spell all words and patterns as they stand in sentences, and collect the generic words."""
    return {
        "generic": " ".join(sorted(_generic(lists))),
        "languages": {name: _fold(language) for name, language in lists["languages"].items()},
    }


def _fold(language: Mapping[str, Any]) -> dict[str, Any]:
    words = {name: _once(map(_spell, each)) for name, each in language["words"].items()}
    frames = {name: _once(map(_pattern, each)) for name, each in language["frames"].items()}
    return {"spaced": language.get("spaced", True), "words": words, "frames": frames}


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _pattern(pattern: str) -> str:
    """Spell a pattern's words; one that is read as several has them joined by underscores."""
    return " ".join(map(_sign, pattern.split()))


def _sign(sign: str) -> str:
    parts = sign.strip("!?").split("|")
    spelt = [one if one[:1] in _SIGNS else "_".join(_spell(one).split()) for one in parts]
    return f"{'!' * sign.startswith('!')}{'|'.join(spelt)}{'?' * sign.endswith('?')}"


def _spell(text: str) -> str:
    return " ".join(text.split() if text.isascii() else plain(text))


def _generic(lists: Mapping[str, Any]) -> set[str]:
    """Collect the words that say nothing of the matter: the frames' own, and function words."""
    pieces = [*lists["generic"]]
    for language in lists["languages"].values():
        pieces += [word for words in language["words"].values() for word in words]
        pieces += [pattern for patterns in language["frames"].values() for pattern in patterns]
    plain_pieces = _part(piece for piece in pieces if piece.isascii())
    others = _part(piece for piece in pieces if not piece.isascii())
    return plain_pieces.union(plain(" ".join(others)))


def _part(patterns: Iterable[str]) -> set[str]:
    return set(re.sub(f"[{re.escape(_SIGNS)}]", " ", " ".join(patterns)).split())


def main() -> None:
    """Write the shipped lists."""
    folded = fold_lists(json.loads(SOURCE.read_text("utf-8")))
    SHIPPED.write_text(f"{json.dumps(folded, ensure_ascii=False, indent=0)}\n", "utf-8")


if __name__ == "__main__":
    main()
