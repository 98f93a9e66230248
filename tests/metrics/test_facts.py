"""What counts as a fact found, by form and mode, and where it is found."""

# ruff: noqa: RUF001 - answers come in many alphabets
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pytest_experiment_profiler.experiment import Fact, FactForm, FactMode
from pytest_experiment_profiler.metrics.facts import match, match_all

if TYPE_CHECKING:
    from random import Random

MODES: tuple[FactMode, ...] = ("lenient", "strict", "exact")
READING_MODES: tuple[FactMode, ...] = ("lenient", "strict")

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""Lone surrogates too."""
WORDY_TEXT = st.lists(
    st.sampled_from(
        (
            *("the", "A", "one", "twenty", "hundred", "million", "5", "1,000", "14", "May", "1972"),
            *("$", "km", "-", ".", "'s", "e\u0301", "\u200b", "東京", "St.", "II", "(", "°", "and"),
            *("\n", "0", "2000-00-00", "00/00/0000", "1.5k", "minus", "II.", "of", "3rd", "9,99"),
        )
    )
).map(" ".join)
TEXTS = ANY_TEXT | WORDY_TEXT
WORDINGS = TEXTS.filter(lambda wording: bool(wording.strip()))


def is_found(
    wording: str, text: str, mode: FactMode = "lenient", form: FactForm = "any_of"
) -> bool:
    return match(Fact(wordings=(wording,), form=form), text, mode).found


@pytest.mark.parametrize("mode", READING_MODES)
@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("Lisbon", "It is LISBON."),
        ("Málaga", "He was born in Malaga."),
        ("Malaga", "He was born in Ma\u0301laga."),
        ("Łódź", "the mills of Lodz"),
        ("Weißenburg", "WEISSENBURG lies in Bavaria"),
        ("Oslo", "Ｏｓｌｏ"),
        ("Marie Curie", "It was **Marie** _Curie_ (1898)."),
        ("Kepler's laws", "Kepler’s laws"),
        ("Kepler", "Kepler’s laws"),
        ("Izmir", "İzmir'de oturuyor"),
        ("Oise", "la vallée de l’Oise"),
        ("long-term", "a long term loan"),
        ("long term", "a longterm loan"),
        ("radio active", "Radioactive waste"),
        ("J. R. R. Tolkien", "J.R.R. Tolkien wrote it"),
        ("N.A.T.O.", "a member of NATO"),
        ("the Azores", "Azores"),
        ("vitamin A", "rich in Vitamin A."),
        ("C++", "It is written in C++."),
        ("→", "a → b"),
        ("neutron", "Neutrons have no charge."),
        ("berry", "two berries"),
        ("wolf", "a pack of wolves"),
        ("colour", "the color of rust"),
        ("Michelangelo", "painted by Michaelangelo"),
        ("bus", "Buses were late."),
        ("analyses", "one analysis of it"),
        ("bacteria", "a bacterium"),
        ("sulphur", "rich in sulfur"),
        ("airplane", "an aeroplane"),
    ],
)
def test_ways_to_write_a_word_are_alike(wording: str, text: str, mode: FactMode) -> None:
    assert is_found(wording, text, mode)


@pytest.mark.parametrize("mode", READING_MODES)
@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("rat", "a matter of taste"),
        ("Oman", "a Roman road"),
        ("Chad", "Chadian cuisine"),
        ("Java", "a JavaScript file"),
        ("C", "It is written in C++."),
        ("C#", "It is written in C."),
        ("vitamin A", "rich in vitamin K"),
        ("hepatitis B", "a vaccine for hepatitis C"),
        ("7", "in 1977"),
        ("200", "2,000 ships"),
        ("4.5", "45 litres"),
        ("4", "4.5 litres"),
        ("4.5", "4 litres"),
        ("3", "3 million"),
        ("two", "two hundred"),
        ("one", "thirty-one of them"),
        ("10", "10 000 stars"),
        ("8", "-8 degrees"),
        ("1980", "the 1980s"),
        ("Apollo 11", "Apollo 13"),
        ("Apollo 11", "11 men"),
        ("World War I", "World War II"),
        ("Catherine II", "Catherine I"),
        ("25 euros", "25 dollars"),
        ("5 km", "15 km"),
        ("3 May 1808", "on 2 May 1808"),
        ("3 May 1808", "in May 1809, on the 3rd"),
        ("Marlene Dietrich", "Paul Dietrich said so"),
        ("Lake Victoria", "Lake Tanganyika"),
        ("vitamin B12", "rich in vitamin B6"),
        ("hypothermia", "a case of hyperthermia"),
        ("nitrite", "rich in nitrate"),
        ("desert", "a dessert"),
        ("South Korea", "in Korea"),
        ("West Virginia", "Virginia"),
        ("left ventricle", "the right ventricle"),
        ("ascending order", "in descending order"),
        ("sulfide", "a sulfate"),
        ("endoskeleton", "an exoskeleton"),
        ("Treaty of Versailles", "The Treaty of Rome ended it."),
        ("1.234,56", "123,456 of them"),
    ],
)
def test_other_words_and_numbers_are_not(wording: str, text: str, mode: FactMode) -> None:
    assert not is_found(wording, text, mode)


@pytest.mark.parametrize("mode", READING_MODES)
@pytest.mark.parametrize(
    "same",
    [
        ("1,000", "1000", "one thousand", "1 000", "a thousand", "1k"),
        ("2.5 million", "2,500,000", "2.5mn", "2.500.000"),
        ("205", "two hundred and five"),
        ("2,021", "two thousand, twenty-one"),
        ("1984", "nineteen eighty-four"),
        ("3.0", "3", "three"),
        ("3.25", "3,25"),
        ("1,234.56", "1.234,56"),
        ("30 square metres", "30 m²", "30 sq m", "30 sqm", "30m2"),
        ("21st", "twenty-first"),
        ("the 1990s", "the 1990's", "the '90s", "1990s"),
        ("-40", "minus forty", "\u221240"),
        ("12 km", "12 kilometres", "twelve kilometers", "12km"),
        ("100 km/h", "100 kilometres per hour", "100 kph"),
        ("300 km/s", "300 kilometres per second"),
        ("20 °C", "20 degrees Celsius", "20°C"),
        ("6 feet", "6 ft", "six foot"),
        ("40 %", "40%", "forty percent", "40 per cent"),
        ("$3 million", "$3m", "3 million dollars", "USD 3,000,000"),
        ("€20", "20 euros", "EUR 20"),
        ("5 kWh", "5 kilowatt-hours"),
        ("H₂O", "H2O"),
        (
            *("3 May 1808", "May 3, 1808", "the 3rd of May, 1808", "1808-05-03", "03.05.1808"),
            *("May 3rd 1808",),
        ),
        ("24 May 1808", "5/24/1808", "24/05/1808"),
        ("8 December 1980", "Dec. 8, 1980", "8 Dec 1980"),
        ("Henry VIII", "Henry the Eighth", "Henry 8th"),
        ("World War II", "World War 2", "World War Two", "WWII"),
        ("Mount Etna", "Mt. Etna"),
        ("St. Moritz", "Saint Moritz"),
        ("the USA", "the U.S.A.", "the United States", "the US"),
        ("rose and thorn", "rose & thorn", "thorn and rose"),
    ],
)
def test_ways_to_write_a_number_a_date_a_name_are_alike(
    same: tuple[str, ...], mode: FactMode
) -> None:
    for wording in same:
        for written in same:
            assert is_found(wording, f"They say it was {written}, I think.", mode), wording


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("Dr. Ada Lovelace", "Ada Lovelace"),
        ("Ada Lovelace", "Ada King Lovelace"),
        ("Ada B. King", "Ada King"),
        ("Ada Byron King", "Ada King"),
        ("Sammy Davis Jr.", "Sammy Davis"),
        ('Edward "Duke" Ellington', "Edward Ellington"),
        ("half-life (physics)", "its half life"),
        ("deoxyribonucleic acid (DNA)", "DNA carries it"),
        ("North Atlantic Treaty Organization (NATO)", "NATO"),
    ],
)
def test_a_name_counts_without_its_ornaments(wording: str, text: str) -> None:
    assert is_found(wording, text, "strict")


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("東京", "日本の首都は東京です。"),
        ("北京", "首都是北京。"),
        ("กรุงเทพ", "เมืองหลวงคือกรุงเทพมหานคร"),
        ("서울", "수도는 서울입니다."),
        ("서울", "수도는 \u1109\u1165\u110b\u116e\u11af입니다."),
        ("ガス", "カ\u3099スの温度"),
        ("Αθήνα", "η πόλη ΑΘΗΝΑ"),
        ("Москва", "МОСКВА — столица"),
        ("القاهرة", "العاصمة هي القاهرة."),
        ("दिल्ली", "राजधानी दिल्ली है"),
        ("٢٠٠", "200 ships"),
    ],
)
def test_other_scripts_are_read(wording: str, text: str) -> None:
    assert is_found(wording, text, "strict")


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("Tycho Brahe", "Brahe measured it"),
        ("a slowing of the rotor", "it slows the rotor"),
        ("Aarhus, Denmark", "in Aarhus"),
        ("the Danish astronomer Tycho Brahe", "It was Tycho Brahe."),
        ("3 May 1808", "in 1808"),
        ("3 May 1808", "in May 1808"),
        ("Christopher Lee Jones", "It was Chris Jones."),
        ("James Lee", "Jimmy Lee"),
    ],
)
def test_lenient_takes_a_fair_part(wording: str, text: str) -> None:
    assert is_found(wording, text, "lenient")
    assert not is_found(wording, text, "strict")


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("the Danish astronomer Tycho Brahe of Knutstorp", "an astronomer"),
        ("High Court", "The court sat until noon."),
        ("3 May 1808", "in June 1808"),
        ("Boeing 747", "a Boeing"),
        ("rubidium-85", "85 grams"),
        ("chapter IV", "the chapter"),
    ],
)
def test_lenient_wants_names_as_names_and_every_number(wording: str, text: str) -> None:
    assert not is_found(wording, text)


def test_who_lists_many_wordings_means_them() -> None:
    wordings = ("Tycho Brahe", "Tyge Brahe", "Tycho de Brahe")

    assert match(Fact(wordings=wordings), "Brahe").found
    assert not match(Fact(wordings=(*wordings, "Tychonis", "Tyge Ottesen")), "Brahe").found


def test_exact_is_the_plain_substring() -> None:
    assert is_found("rat", "A MATTER OF TASTE? No: RATHER not.", "exact")
    assert not is_found("1,000", "1000", "exact")
    assert not is_found("Malaga", "Málaga", "exact")


@pytest.mark.parametrize("mode", MODES)
def test_forms(mode: FactMode) -> None:
    text = "Salt and pepper, no sugar."

    def found(form: FactForm, *wordings: str) -> bool:
        return match(Fact(wordings=wordings, form=form), text, mode).found

    assert found("any_of", "oil", "salt")
    assert not found("any_of", "oil", "vinegar")
    assert found("all_of", "salt", "pepper")
    assert not found("all_of", "salt", "oil")
    assert found("none_of", "oil", "vinegar")
    assert not found("none_of", "oil", "salt")
    assert found("regex", r"[Ss]alt.*sug[ae]r")
    assert not found("regex", r"salt.*\d")


def test_a_part_of_what_must_not_be_said_is_no_offence() -> None:
    assert is_found("Tycho Brahe", "Brahe", form="none_of")
    assert not is_found("Tycho Brahe", "Brahe, Tycho", form="none_of")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", ["any_of", "all_of", "none_of", "regex"])
@pytest.mark.parametrize("text", ["", " \n\t", "\u2003"])
def test_silence_never_holds_a_fact(text: str, form: FactForm, mode: FactMode) -> None:
    assert not is_found(".", text, mode, form)


@pytest.mark.parametrize(
    ("wording", "text", "matched"),
    [
        ("thousand ships", "About **1000** ships\u200b left", "1000** ships"),
        ("Málaga", "in Ma\u0301laga, Spain", "Ma\u0301laga"),
        ("strasse", "Die \u200bHauptSTRASSE, die Straße", "Straße"),
        ("3 May 1808", "Ｏn May 3rd, 1808.", "May 3rd, 1808"),
        ("Tycho Brahe", "ﬁne: Brahe, the Dane", "Brahe"),
        ("東京", "首都は東京です", "東京"),
        ("5 million", "It cost $5m.", "5m"),
        ("fi", "a ﬁ ligature", "ﬁ"),
    ],
)
def test_a_match_says_what_showed_it_and_where(wording: str, text: str, matched: str) -> None:
    shown = match(Fact(wordings=(wording,)), text)

    assert shown.matched == matched
    assert shown.span is not None
    assert text[slice(*shown.span)] == matched


def test_parts_are_shown_together_and_offences_too() -> None:
    text = "First the STRAẞE, then the river."
    parts = match(Fact(wordings=("river", "strasse"), form="all_of"), text, "exact")
    offence = match(Fact(wordings=("lake", "river"), form="none_of"), text)
    innocent = match(Fact(wordings=("lake",), form="none_of"), text)

    assert (parts.matched, parts.span) == ("river … STRAẞE", (27, 32))
    assert (offence.found, offence.matched, offence.span) == (False, "river", (27, 32))
    assert (innocent.found, innocent.matched, innocent.span) == (True, None, None)


def test_facts_come_back_in_their_order() -> None:
    facts = tuple(Fact(wordings=(word,)) for word in ("salt", "oil", "pepper"))

    matches = match_all(facts, "pepper and salt")

    assert tuple(one.fact for one in matches) == facts
    assert [one.found for one in matches] == [True, False, True]


@given(TEXTS, st.lists(TEXTS, max_size=6), st.sampled_from(MODES))
def test_no_text_raises_and_every_span_is_in_it(
    text: str, wordings: list[str], mode: FactMode
) -> None:
    forms: tuple[FactForm, ...] = ("any_of", "all_of", "none_of")
    facts = [Fact(wordings=tuple(wordings), form=form) for form in forms]

    any_of, all_of, none_of = match_all(facts, text, mode)

    if any_of.span:
        assert any_of.matched == text[slice(*any_of.span)]
        assert any_of.matched
    assert (any_of.span is not None) == any_of.found
    assert all_of.found <= any_of.found
    if mode != "lenient" and text.strip():
        assert none_of.found != any_of.found


@given(TEXTS, st.lists(WORDINGS, min_size=1, max_size=4), st.sampled_from([" ", "\n", "\n\n"]))
@example("115", ["286"], " ")
@example("one hundred", ["twenty"], " ")
@example("twenty", ["twenty twenty twenty"], " ")
@example("", ["\u200b"], " ")
def test_an_answer_that_ends_with_the_wording_holds_it(
    text: str, wordings: list[str], gap: str
) -> None:
    for mode in MODES:
        assert match(Fact(wordings=tuple(wordings)), text + gap + wordings[-1], mode).found
        everything = gap.join((text, *wordings))
        assume(all(one == one.strip() for one in wordings))
        assert match(Fact(wordings=(wordings[-1],), form="all_of"), everything, mode).found


@given(TEXTS, TEXTS, st.lists(WORDINGS, min_size=1, max_size=4))
def test_more_on_a_line_of_its_own_loses_nothing(text: str, more: str, wordings: list[str]) -> None:
    fact = Fact(wordings=tuple(wordings))
    for mode in MODES:
        assert match(fact, text, mode).found <= match(fact, f"{text}\n\n{more}", mode).found


@given(TEXTS, st.lists(WORDINGS, min_size=1, max_size=6), st.randoms())
def test_the_order_of_wordings_does_not_matter(
    text: str, wordings: list[str], random: Random
) -> None:
    shuffled = random.sample(wordings, len(wordings))
    for mode in MODES:
        one, other = Fact(wordings=tuple(wordings)), Fact(wordings=tuple(shuffled))
        assert match(one, text, mode).found == match(other, text, mode).found


def test_the_us_is_not_us() -> None:
    assert is_found("US", "He moved to the US.", "lenient")
    assert not is_found("US", "Trust us.", "lenient")
    assert is_found("US", "Trust us.", "exact")
