"""Text of a model, or of a file, → text that a terminal can't be tricked with."""

from __future__ import annotations

import re

LINE_LIMIT = 400

# Control characters but newline and tab, marks of direction and invisible ones, surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
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
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004
