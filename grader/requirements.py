"""Which sentence of the prompt each check stands for."""

from __future__ import annotations

import functools
import json
import re

from grader.places import GRADER, PROMPT

MARK = re.compile(r"\[(R\d+)\]")
SENTENCE_START = re.compile(r"(?:[.:;]\s+|^[*|-]\s+|\n\n)", re.MULTILINE)
LONGEST = 110


@functools.cache
def requirements() -> dict[str, tuple[str, ...]]:
    """Give the checks of each marked sentence."""
    rows = json.loads((GRADER / "requirements.json").read_text(encoding="utf-8"))
    return {row["sentence"]: tuple(row["checks"]) for row in rows}


@functools.cache
def prompt_sentences() -> dict[str, str]:
    """Give the text before each mark of the prompt, back to where its sentence starts."""
    text = PROMPT.read_text(encoding="utf-8")
    found = {}
    end = 0
    for mark in MARK.finditer(text):
        piece = text[end : mark.start()]
        starts = [0, *(match.end() for match in SENTENCE_START.finditer(piece))]
        found[mark[1]] = " ".join(piece[starts[-1] :].split())[:LONGEST]
        end = mark.end()
    return found
