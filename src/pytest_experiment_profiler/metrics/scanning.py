"""A part of a folded text goes in; its words and numbers come out, one by one."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from pytest_experiment_profiler.metrics.numerals import (
    Token,
    is_number,
    merge_numbers,
    order_dates,
    plain_number,
)
from pytest_experiment_profiler.metrics.vocabulary import (
    AFTER_NUMBER,
    AFTER_UNIT,
    CURRENCIES,
    MONTH_NAMES,
    NUMBER_WORDS,
    SUFFIXES,
    WRITTEN_OUT,
)

SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Letters of scripts that don't part words, or hang endings on them: each is a token."""

_ELIDED = frozenset({*"cdjlmnst", "qu", "dell", "nell", "dall", "sull", "all"})
_LONGEST_ELIDED = max(map(len, _ELIDED))
CAPITALS = {"US": "usa"}
_LONGEST_CACHED = 40
_SPELLING = {"-", "."}
_MONTHS = {f"{number}": name for number, name in enumerate(MONTH_NAMES, start=1)}
_SHORT_YEAR = 2
_YEAR = 4


def is_spaceless(text: str) -> bool:
    """Tell whether letters of a script that doesn't part words stand in a text."""
    return not text.isascii() and _spaceless().search(text) is not None


@cache
def _spaceless() -> re.Pattern[str]:
    return re.compile(f"[{SPACELESS}]")


@cache
def _token(*, is_ascii: bool) -> re.Pattern[str]:
    """Match a token; the letters of scripts without blanks take 8 ms to compile."""
    letter = r"[^\W\d_]" if is_ascii else rf"[^\W\d_{SPACELESS}]"
    part = letter if is_ascii else rf"(?:{letter}|[\u0900-\u0963\u0970-\u0dff])"
    alone = "(?!)" if is_ascii else f"[{SPACELESS}]"
    return re.compile(
        rf"""
    [\ ,\n]*+                       # passed here, for no kind of token begins with these
    (?: (?P<plain> (?=[A-Za-z])[A-Z]*+[a-z]*+(?=[\ ,;:!?)\n]) )
      | (?P<word>
            {letter}(?:\.{letter})+(?!{part}|\d)                      # U.S.A.
          | [A-Za-z](?:\+\+|[+#])(?!\w)                                  # C++
          | (?!(?:at|by|in|is|of|on|to|was)\d)(?:[a-z]{{1,3}}|[A-Z]{{1,3}})\d\w*  # H2O
          | (?<![^\W_])[a-z]{{2,}}(?=[A-Z][a-z]{{2}})                    # a link glued to a word
          | {part}+
        )
      | (?P<date> \d{{4}}-\d\d?-\d\d?(?![\w/-]) | \d\d?([./])\d\d?\4\d{{4}}(?![\w/]) )
      | (?<=[$\u20ac\u00a3\u00a5])(?P<price> \d+(?:\.\d+)?[mMbB](?!\w) )
      | (?P<noted> (?:1\d|20)\d\d(?=\d\d?\.(?!\d)) )                  # a year glued to a footnote
      | (?P<number>
            (?:(?<![^\s(])-)?
            (?: \d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?!\d|,\d)
              | \d{{1,3}}(?:\.\d{{3}})+,\d{{1,2}}(?!\d|,\d)
              | \d{{1,3}}(?:\.\d{{3}}){{2,}}(?!\d)
              | \d{{1,3}}(?:[\ ']\d{{3}})+(?!\d)
              | (?<!\d,)\d+,\d{{1,2}}(?!\d|,\d)
              | \d*\.?\d+
            )
            (?: (?P<scale> [kK]|\ ?(?:bn|mn|tn) )(?!\w) | (?P<suffix> st|nd|rd|th|'?s|[dD])(?!\w) )?
        )
      | (?P<sign> [$\u20ac\u00a3\u00a5%\u00b0] )
      | (?P<letter> {alone} )
    )
    """,
        re.VERBOSE,
    )


def scan(text: str, begin: int, end: int) -> list[Token]:
    """Read the words and numbers between two places; numbers, dates and prices alike."""
    tokens, numeric = _scan(text, begin, end)
    if numeric:
        tokens = merge_numbers(tokens, text)
    return _measure(order_dates(tokens)) if numeric and len(tokens) > 1 else tokens


def _scan(text: str, begin: int, stop: int) -> tuple[list[Token], bool]:
    """Read the tokens as they are written, and whether there are numbers among them."""
    tokens: list[Token] = []
    numeric = False
    for found in _token(is_ascii=text.isascii()).finditer(text, begin, stop):
        kind = found.lastgroup or ""
        start, end = found.span(kind)
        literal = text[start:end]
        if kind == "letter":
            tokens.append((literal, start, end))
        elif kind in {"plain", "word"}:
            key = CAPITALS.get(literal) or literal.casefold()
            numeric = numeric or key in NUMBER_WORDS
            if len(key) > _LONGEST_ELIDED or not _is_clitic(key, text, start, end):
                letter = literal == "A" and _is_letter(text, start, end)
                tokens.append(("A" if letter else key, start, end))
        elif kind == "sign":
            tokens.append((literal, start, end))
        elif literal.isdecimal():
            numeric = True
            tokens.append((f"#{literal.lstrip('0') or 0}", start, end))
        else:
            numeric = True
            tokens += [(key, start, end) for key in _read_digits(found, kind, literal)]
    return tokens, numeric


def _is_clitic(key: str, text: str, start: int, end: int) -> bool:
    """Tell the s of "Paris's" and the l of "l'Oise"."""
    if text[end : end + 1] == "'":
        return key in _ELIDED and text[end + 1 : end + 2].isalpha()
    return key == "s" and text[start - 1 : start] == "'"


def _is_letter(text: str, start: int, end: int) -> bool:
    """Tell the A of "vitamin A" and "B-A-R" from that of "A vitamin"."""
    spelled = text[start - 1 : start] in _SPELLING or text[end : end + 1] in _SPELLING
    return spelled or (text[start - 1 : start] == " " and text[start - 2 : start - 1].isalnum())


def _read_digits(found: re.Match[str], kind: str, literal: str) -> tuple[str, ...]:
    if len(literal) > _LONGEST_CACHED:
        return (f"#{plain_number(literal)}",)
    if kind == "date":
        return _read_date(literal)
    scale = literal[-1] if kind == "price" else found["scale"]
    return _read_number(literal, scale, found["suffix"])


@lru_cache(maxsize=4096)
def _read_number(literal: str, scale: str | None, suffix: str | None) -> tuple[str, ...]:
    digits = plain_number(literal.removesuffix(scale or suffix or ""))
    if scale:
        return f"#{digits}", SUFFIXES[scale.strip().lower()]
    if suffix in {"st", "nd", "rd", "th"}:
        return (f"#{digits}th",)
    if suffix in {"s", "'s"}:
        return (f"#19{digits}s" if len(digits) == _SHORT_YEAR else f"#{digits}s",)
    return (f"{digits}d" if suffix else f"#{digits}",)


@lru_cache(maxsize=4096)
def _read_date(literal: str) -> tuple[str, ...]:
    """Read the parts of a date in digits, and name its month if there is but one way to."""
    first, second, third = (part.lstrip("0") or "0" for part in re.split("[-./]", literal))
    if literal[_YEAR] == "-":
        day, month, year = third, second, first
    elif "." in literal or first not in _MONTHS:
        day, month, year = first, second, third
    else:
        day, month, year = second, first, third
    if month in _MONTHS and ("/" not in literal or day not in _MONTHS):
        return f"#{day}", _MONTHS[month], f"#{year}"
    return f"#{first}", f"#{second}", f"#{third}"


def _measure(tokens: list[Token]) -> list[Token]:
    """Name the units beside numbers, and put a currency behind its number."""
    measured: list[Token] = []
    last = ""
    for key, start, end in tokens:
        if is_number(key):
            priced = last in CURRENCIES and not is_number(measured[-2:][0][0])
            price = [measured.pop()] if priced else []
            measured += [(key, start, end), *price]
        elif not is_number(last) and last not in AFTER_UNIT:
            measured.append(("%" if key == "cent" and last == "per" else key, start, end))
        elif key in WRITTEN_OUT:
            measured += [(unit, start, end) for unit in WRITTEN_OUT[key]]
        else:
            measured.append((AFTER_NUMBER.get(key, key), start, end))
        last = key
    return measured
