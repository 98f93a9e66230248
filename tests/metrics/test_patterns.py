"""Regular expressions of a manifest: read as re reads them, and never for long."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_experiment_profiler.experiment import Fact
from pytest_experiment_profiler.metrics.facts import check_pattern, match
from pytest_experiment_profiler.metrics.patterns import search, search_onward

PIECES = st.sampled_from(
    (
        *("a", "b", "É", "1", " ", "_", r"\.", ".", "[ab]", "[^a]", "[b-d1]", r"[\d_]", r"[^\s\w]"),
        *(r"\w", r"\W", r"\d", r"\D", r"\s", r"\b", r"\B", "^", "$", r"\A", r"\Z", "\n"),
    )
)
REPEATS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "+?", "??"])
PATTERNS = st.recursive(
    PIECES,
    lambda part: st.one_of(
        st.tuples(part, part).map("".join),
        st.tuples(part, part).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(part, REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
)
FLAGS = st.sampled_from(["", "(?i)", "(?s)", "(?m)", "(?a)", "(?im)"])
SHORT_TEXTS = st.text(st.sampled_from("aAbcdéÉ1_. \n"), min_size=1, max_size=9)

TRAPS = {
    r"(a+)+$": r"a$",
    r"(a|aa)+$": r"a$",
    r"(a|a)*b": r"b",
    r"(a*)*b": r"b",
    r"(.*)*x": r"x",
    r"(\w+\s?)*!!": r"!!",
    r"(x+x+)+y": r"xxy",
    r".*.*.*.*=": r"=",
    r"\d*\d*\d*z": r"z",
    r"(?:a?){30}a{30}b": r"a{30}b",
    r"((a+b?)+c?)+$": r"[abc]$",
    r"(a|b)*a(a|b){20}c": r"a[ab]{20}c",
}
"""Patterns on which re goes back again and again, and what they ask for."""


@given(PATTERNS, FLAGS, SHORT_TEXTS)
def test_a_pattern_matches_where_re_says_it_can(pattern: str, flags: str, text: str) -> None:
    assume(check_pattern(flags + pattern) is None)
    expected = re.compile(flags + pattern)

    for found in (search(flags + pattern, text), search_onward(flags + pattern, text)):
        assert (found is not None) == (expected.search(text) is not None)
        if found:
            assert expected.match(text, found[0])


@pytest.mark.parametrize(
    ("pattern", "text", "matched"),
    [
        (r"\d+(\.\d+)? km", "about 12.5 km away", "12.5 km"),
        (r"(?i)colou?r", "The COLOR red", "COLOR"),
        (r"\bno\b", "I know no answer", "no"),
        (r"wind.*sail", "The wind fills a sail, and a sail", "wind fills a sail, and a sail"),
        (r"(?s)one.*two", "one\nand two", "one\nand two"),
        (r"(?m)^two$", "one\ntwo\n", "two"),
        (r"two$", "one\ntwo\n", "two"),
        (r"(?i:yes|oui), (?P<what>sir|madame)", "OUI, madame", "OUI, madame"),
        (r"[Éé]t[ée]", "l\N{RIGHT SINGLE QUOTATION MARK}été", "été"),
        (r"[^\W\d]{3,}", "12 ab 345 abc1", "abc"),
    ],
)
def test_the_match_is_shown(pattern: str, text: str, matched: str) -> None:
    shown = match(Fact(wordings=(pattern,), form="regex"), text)

    assert shown.found
    assert shown.matched == matched
    assert shown.span is not None
    assert text[slice(*shown.span)] == matched


@pytest.mark.parametrize(("pattern", "core"), TRAPS.items())
@pytest.mark.parametrize("letters", ["a", "x", "1", "ab", "a b!! xy"])
def test_no_pattern_goes_back_over_a_text(pattern: str, core: str, letters: str) -> None:
    text = letters * 10_000 + "\N{WHITE SQUARE}"

    assert check_pattern(pattern) is None
    for part in (text, text[:600], text[-60:]):
        assert (search(pattern, part) is None) == (re.search(core, part) is None)


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(", "the regex '(' is wrong: missing )"),
        ("a{99999999999}", "is wrong: the repetition number is too large"),
        ("a" * 1001, "is longer than 1000 characters"),
        ("(a{1,100}){1,100}", "unfolds to more than 300 places"),
        ("(?:){0,400000}", "unfolds to more than 300 places"),
        ("((((" * 200 + "a" + "))))" * 200, "is longer than 1000 characters"),
        ("(" * 499 + "a" + ")" * 499, "nests its groups too deeply"),
        ("(?=a)b", "looks around, which can't be read; write all_of"),
        ("(?!a)b", "looks around, which can't be read; write none_of"),
        (r"(a)\1", "refers to a group, which can't be read"),
        ("(?>a+)b", "has an atomic group, which can't be read"),
        ("a++b", "has a possessive repeat, which can't be read"),
        ("a*", "matches an empty text, and so every answer"),
        ("", "matches an empty text, and so every answer"),
    ],
)
def test_what_is_wrong_is_said_and_finds_nothing(pattern: str, complaint: str) -> None:
    said = check_pattern(pattern)

    assert said is not None
    assert complaint in said
    if "empty" not in complaint:
        assert not match(Fact(wordings=(pattern,), form="regex"), "aab(").found


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_pattern_raises(pattern: str, text: str) -> None:
    check_pattern(pattern)
    search(pattern, text)


def test_what_warns_re_is_read_all_the_same() -> None:
    assert check_pattern("[[a]b") is None
    assert search("[[a]b", "x[b") == (1, 3)
