"""Mask what an answer contains but does not say: thinking, code, markup, quotations, letters.

Masked letters become blanks, so that positions stay those of the answer.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKER = (
    r"(?i)<(?P<a>/?)(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|seed:think)>"
    r"|◁(?P<b>/?)think▷|\[(?P<c>/?)THINK\]"
)
_SALUTATION = (
    r"(?im)^\W{0,4}(?:subject ?:|betreff ?:|objet ?:|asunto ?:|(?:dear|hi|hello|hey|"
    r"sehr geehrte\w*|liebe[rs]?|ch[eè]re?|bonjour|estimad[oa]s?|querid[oa]s?)\b"
    r"[^\n:;?!]{0,60},\W*$)"
)
_SIGNATURE = (
    r"(?im)^\W{0,4}(?:(?:with )?(?:(?:my )?(?:kind|best|warm|warmest) (?:regards|wishes)|regards|"
    r"best|sincerely|cheers|yours [a-z]+|(?:many )?thanks|thank you|respectfully|warmly|love|"
    r"all the best|take care|mit freundlichen grüßen|viele grüße|cordialement|atentamente|"
    r"saludos)\b[^\n.!?]{0,25}|\[[^\]\n]{0,20}name\]\W*)$"
)
_BLOCK = r"(?m)^[ \t]*>[^\n]*"
_SPEECH = re.compile(  # each way begins with a sign, so that the next one is found quickly
    r"`[^`\n]{1,400}`"
    r"|<\|[a-z_]{1,40}\|>|</?[a-z]{1,10}(?: [^<>\n]{0,80})?>|\[/?INST\]"
    r"|\"[^\"\n]{1,600}\"|“[^”\n]{1,600}”|„[^“”\n]{1,600}[“”]|«[^»\n]{1,600}»|»[^«\n]{1,600}«"
    r"|「[^」\n]{1,600}」|『[^』\n]{1,600}』"
    r"|'(?<!\w')(?:[^'\n]|(?<=\w)'(?=\w)){2,400}'(?!\w)"
    r"|\u2018(?<!\w\u2018)(?:[^\u2019\n]|(?<=\w)\u2019(?=\w)){2,400}\u2019(?!\w)"
)
_TRANSLATION = (
    r"(?im)^\W{0,4}(?:(?:[a-z]{3,12} )?translation|translated|(?:in (?:plain )?)?(?:english|german|"
    r"french|spanish|italian|portuguese|russian|chinese|japanese)|(?:in)?formal(?:ly)?|polite(?:ly)?|"
    r"casual|friendly|firm|professional|(?:option|version|variant|draft) \w)\b[^\n:.]{0,30}:"
    r"[ \t*_]*\S[^\n]*$"
)
_SPEAKER = r"(?m)^[*_ \t]{0,4}([A-Z][\w.'-]{0,24})[*_]{0,2}:[*_]{0,2}[ \t]+\S[^\n]*$"
_INK = re.compile(r"[^\n]")
_IN_JSON = r'\\u([0-9a-fA-F]{4})|\\(.)|"\s*[:,]|"'
_HYPHEN = "\u00ad"  # read as nothing

_compile = cache(re.compile)
"""Compile a pattern where an answer first needs it, for few answers do."""


def without_thinking(text: str) -> str:
    """Mask the blocks in which a model thinks aloud, an unclosed one at the start included."""
    if "<" not in text and "[" not in text and "◁" not in text:
        return text
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    for marker in _compile(_MARKER).finditer(text):
        closes = "/" in (marker["a"], marker["b"], marker["c"])
        if closes and opened is not None:
            spans.append((opened, marker.end()))
            opened = None
        elif closes and not spans:
            spans = [(0, marker.end())]
        elif not closes and opened is None:
            opened = marker.start()
    if opened is not None and not text[:opened].strip():
        spans.append((opened, len(text)))
    return _masked(text, spans)


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    if not spans:
        return text
    pieces: list[str] = []
    last = 0
    for start, end in spans:
        pieces += (text[last:start], _blank(text[start:end]))
        last = end
    return "".join((*pieces, text[last:]))


def without_json(text: str) -> str:
    """Open an answer that is JSON as a whole: what its strings say, it says itself."""
    core = text.strip()
    if core.startswith("```json") and core.endswith("```"):
        core = core[len("```json") : -len("```")].strip()
    if not core.startswith(("{", "[")) or not _is_json(core):
        return text
    start = text.index(core)
    said = _compile(_IN_JSON).sub(_said, core)
    return f"{_blank(text[:start])}{said}{_blank(text[start + len(core) :])}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _said(found: re.Match[str]) -> str:
    sign, code, escaped = found[0], found[1], found[2]
    if code:
        return chr(int(code, 16)).ljust(len(sign), _HYPHEN)
    if escaped:
        return " \n" if escaped == "n" else f" {escaped}"
    return " " if sign == '"' else "\n".rjust(len(sign))


def without_fences(text: str) -> str:
    """Mask fenced code; a fence left open reaches to the end."""
    parts = text.split("```")
    parts[1::2] = [_blank(part) for part in parts[1::2]]
    return "   ".join(parts)


def without_speech(text: str) -> str:
    """Mask letters, scripts and quotations: what a requested text says, the model does not."""
    if "\n" in text:  # for a letter needs two lines at least
        text = _masked(text, list(_letters(text)))
    if ":" in text:
        text = _compile(_TRANSLATION).sub(lambda found: _blank(found[0]), text)
        speakers = [found[1] for found in _compile(_SPEAKER).finditer(text)]
        if len(set(speakers)) < len(speakers):
            text = _compile(_SPEAKER).sub(lambda found: _blank(found[0]), text)
    if ">" in text:
        around = _compile(_BLOCK).sub(lambda found: _blank(found[0]), text)
        text = text if around.isspace() else around
    return _SPEECH.sub(lambda found: _blank(found[0]), text)


def _letters(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while opening := _compile(_SALUTATION).search(text, position):
        signature = _compile(_SIGNATURE).search(text, opening.end())
        if signature is None:
            return
        yield opening.start(), signature.end()
        position = signature.end()


def _blank(text: str) -> str:
    return _INK.sub(" ", text)
