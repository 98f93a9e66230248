"""The hand-written lists of refusals → the shipped ones, spelt as sentences are read.

    python benchmarks/fold_lists.py

`refusal_frames.json` beside this file is written with accents, for people; folding them took some
10 ms before a session's first judged answer.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.metrics import refusal_lists
from pytest_experiment_profiler.metrics.plain_words import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

SOURCE = Path(__file__).with_name("refusal_frames.json")
SHIPPED = Path(refusal_lists.__file__).with_name("refusal_lists.json")
_SIGNS = "?|!^$.{}"


def fold_lists(lists: Mapping[str, Any]) -> dict[str, Any]:
    """Spell all words and patterns as they stand in sentences, and index them.

    Lists are texts, which are parted when they are needed. A pattern begins with its language and
    frame; `openings` tells which of them, by number, a word may open; `starts` are those at the
    start of a sentence, `unspaced` those of languages that don't part words.
    """
    languages = lists["languages"]
    words = {
        name: {each: _once(map(_spell, words)) for each, words in language["words"].items()}
        for name, language in languages.items()
    }
    patterns = [
        (name, frame, pattern)
        for name, language in languages.items()
        for frame, each in language["frames"].items()
        for pattern in _once(map(_pattern, each))
    ]
    unspaced = {name for name, language in languages.items() if not language.get("spaced", True)}
    return {
        "generic": " ".join(sorted(_generic(lists))),
        "words": {
            name: {each: "|".join(phrases) for each, phrases in lists_.items()}
            for name, lists_ in words.items()
        },
        "patterns": [" ".join(pattern) for pattern in patterns],
        **_index(patterns, words, unspaced),
    }


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _index(
    patterns: Sequence[tuple[str, str, str]],
    words: Mapping[str, Mapping[str, Sequence[str]]],
    unspaced: Collection[str],
) -> dict[str, Any]:
    apart: list[int] = []
    starts: list[int] = []
    openings: defaultdict[str, list[int]] = defaultdict(list)
    for number, (language, _, signs) in enumerate(patterns):
        if language in unspaced:
            apart.append(number)
        elif signs.startswith("^"):
            starts.append(number)
        else:
            for word in _openers(signs.split(), words[language]):
                openings[word].append(number)
    texts = {word: " ".join(map(str, openings[word])) for word in sorted(openings)}
    return {"unspaced": apart, "starts": starts, "openings": texts}


def _openers(signs: Sequence[str], words: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    for part in signs[0].removesuffix("?").split("|"):
        phrases = words[part[1:-1]] if part.startswith("{") else [part.replace("_", " ")]
        found.update(phrase.split()[0] for phrase in phrases)
    return found | _openers(signs[1:], words) if signs[0].endswith("?") else found


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
    lines = (
        f"{json.dumps(key)}: {json.dumps(values, ensure_ascii=False)}"
        for key, values in folded.items()
    )
    SHIPPED.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
