"""Text of a model, or of a file, → text that a terminal can't be tricked with."""

from __future__ import annotations

import re

LINE_LIMIT = 400

# Control characters but newline and tab, marks of direction and invisible ones, surrogates; and
# what opens a command of a CI system anywhere in a line ("##[error]", "##vso[", "##teamcity[").
_UNSAFE = re.compile(
    "[#\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
    r"(?:(?<!#)|(?=#\w*\[))"
)


def make_plain(text: str) -> str:
    """Make every control, escape and direction character visible as an escape."""
    return _UNSAFE.sub(lambda match: _escape(match[0]), text.replace("\r\n", "\n"))


def make_line(text: str, limit: int = LINE_LIMIT) -> str:
    """Make a text plain and one line of about `limit` characters at most."""
    return " ".join(make_plain(shorten(text, limit)).split())


def shorten(text: str, limit: int) -> str:
    """Cut a text to `limit` characters and say how many were cut."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _escape(character: str) -> str:
    code = f"{ord(character):02x}"
    sign, digits = {2: ("x", 2), 3: ("u", 4), 4: ("u", 4)}.get(len(code), ("U", 8))
    return f"\\{sign}{code:0>{digits}}"
