"""Tokens of a text go in; its numbers and dates come out alike, however they were written."""

from __future__ import annotations

from decimal import Decimal

from pytest_experiment_profiler.metrics.vocabulary import (
    CARDINALS,
    MONTHS,
    NUMBER_WORDS,
    ORDINALS,
    SCALES,
)

Token = tuple[str, int, int]
"""A word or number: its key (a number's begins with #), its start and end in the folded text.

A plain tuple, for there are many, and the garbage collector leaves these alone.
"""

_LONGEST = 15
_DECIMALS = 2
_TEN, _TWENTY, _HUNDRED, _THOUSAND = 10, 20, 100, 1000
_GAPS = frozenset({"", " ", "-"})
_DAYS = frozenset(map(str, range(1, 32)))


def is_number(key: str) -> bool:
    """Tell whether a key is a number's."""
    return key[:1] == "#"


def plain_number(literal: str) -> str:
    """Write the digits of a number in the one way: no separators, no idle zeros."""
    digits = literal.removeprefix("-").replace(" ", "").replace("'", "")
    head, comma, tail = digits.rpartition(",")
    if comma and len(tail) <= _DECIMALS:
        digits = f"{head.replace('.', '')}.{tail}"
    digits = digits.replace(",", "")
    if digits.count(".") > 1 or (digits.endswith(".000") and not digits.startswith("0")):
        digits = digits.replace(".", "")
    whole, _, part = digits.partition(".")
    part = part.rstrip("0")
    sign = "-" if literal.startswith("-") else ""
    return sign + (whole.lstrip("0") or "0") + ("." + part if part else "")


def merge_numbers(tokens: list[Token], text: str) -> list[Token]:
    """Join the words of each number to one token: "two hundred and five", "2.5 million"."""
    merged: list[Token] = []
    place = 0
    last = len(tokens) - 1
    while place <= last:
        token = tokens[place]
        key = token[0]
        place += 1
        if key[0] == "#":
            if place <= last and tokens[place][0] in SCALES:
                token, place = _scale(token, tokens, place, text)
        elif key in NUMBER_WORDS and not (key == "second" and merged and _counts(merged[-1])):
            token, place = _read_words(tokens, place - 1, text)
        else:
            merged.append(token)
            continue
        if merged and merged[-1][0] == "minus" and not is_number(merged[-2:][0][0]):
            token = (f"#-{token[0][1:]}", merged.pop()[1], token[2])
        merged.append(token)
    return merged


def _counts(token: Token) -> bool:
    """Tell what comes before the unit in "5 second" and "per second"."""
    return token[0] == "per" or is_number(token[0])


def _scale(number: Token, tokens: list[Token], place: int, text: str) -> tuple[Token, int]:
    digits = number[0][1:]
    if len(digits) > _LONGEST or not digits[-1:].isdigit():
        return number, place
    if not _joins(number, tokens[place], text):
        return number, place
    scale = SCALES[tokens[place][0]]
    whole = digits.isdecimal()
    scaled = str(int(digits) * scale) if whole else plain_number(f"{Decimal(digits) * scale:f}")
    return (f"#{scaled}", number[1], tokens[place][2]), place + 1


def _joins(left: Token, right: Token, text: str) -> bool:
    """Tell whether the words of a number stand together, as in "two thousand, twenty-one"."""
    gap = text[left[2] : right[1]]
    return gap in _GAPS or (gap == ", " and left[0] in SCALES)


def _read_words(tokens: list[Token], place: int, text: str) -> tuple[Token, int]:
    """Read a number in words: a total, the part that a scale may still multiply, its room."""
    first, total, part, room, suffix = place, 0, 0, _HUNDRED, ""
    while place < len(tokens) and not suffix:
        word = tokens[place][0]
        value = CARDINALS.get(word, ORDINALS.get(word, -1))
        if place > first and not _joins(tokens[place - 1], tokens[place], text):
            break
        if word in SCALES and (part or not total):
            part = (part or 1) * SCALES[word]
            total, part = (total, part) if part < _THOUSAND else (total + part, 0)
            room = _HUNDRED
        elif 0 <= value < room:
            part, room = part + value, _room_beside(value)
        elif _TEN < part <= _TWENTY <= value and not total:
            part, room = part * _HUNDRED + value, _room_beside(value)
        elif word != "and" or room < _HUNDRED or not _is_small(tokens, place + 1):
            break
        suffix = "th" if word in ORDINALS else ""
        place += 1
    return (f"#{total + part}{suffix}", tokens[first][1], tokens[place - 1][2]), place


def _room_beside(value: int) -> int:
    return _TEN if value >= _TWENTY and value % _TEN == 0 else 0


def _is_small(tokens: list[Token], place: int) -> bool:
    word = tokens[place][0] if place < len(tokens) else ""
    return word in CARDINALS or word in ORDINALS


def order_dates(tokens: list[Token]) -> list[Token]:
    """Put the parts of each date in one order: day, month, year."""
    ordered: list[Token] = []
    place = 0
    while place < len(tokens):
        key, start, end = token = tokens[place]
        place += 1
        month = MONTHS.get(key)
        if month is None:
            ordered.append(token)
            continue
        following = tokens[place] if place < len(tokens) else None
        if len(ordered) > 1 and ordered[-1][0] == "of" and _day(ordered[-2]):
            ordered.pop()
        before = _day(ordered[-1]) if ordered else None
        after = _day(following) if following else None
        if before:
            ordered[-1] = before
        elif after:
            ordered.append(after)
            place += 1
        dated = before or after or (following and is_number(following[0]))
        ordered.append((month, start, end) if dated else token)
    return ordered


def _day(token: Token) -> Token | None:
    """Read a day of a month, "14" or "14th"."""
    key, start, end = token
    digits = key[1:].removesuffix("th")
    return (f"#{digits}", start, end) if is_number(key) and digits in _DAYS else None
