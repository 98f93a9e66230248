"""YAML with places."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.documents import (
    DocumentError,
    Fault,
    Place,
    load_yaml,
)


def test_values_stand_at_their_places():
    document = load_yaml("a: 1\nb:\n  - x\n  - {c: 2}\n")
    assert document.values == {"a": 1, "b": ["x", {"c": 2}]}
    assert document.places[()] == Place(1, 1)
    assert document.places["b", 1, "c"] == Place(4, 9)
    assert document.keys["b", 1, "c"] == Place(4, 6)


@pytest.mark.parametrize(
    ("steps", "at_key", "place"),
    [
        (("b", 0), False, Place(3, 5)),
        (("b", 0, "far", "away"), False, Place(3, 5)),
        (("b",), True, Place(2, 1)),
        (("missing",), True, Place(1, 1)),
    ],
)
def test_a_fault_stands_at_the_nearest_thing(steps, at_key, place):
    document = load_yaml("a: 1\nb:\n  - x\n")
    assert document.place(Fault(steps, "wrong", at_key=at_key)) == place


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("# nothing but this\n", 1, "the file is empty"),
        ("a: [1, 2\n", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: &a [*a]\n", 1, "repeats too much or is nested too deeply"),
        ("[" * 100 + "]" * 100, 1, "nested too deeply"),
        ("[" * 100_000, 1, ""),
        ("a: *nowhere\n", 1, "not YAML"),
        ("a: \x07\n", 1, "not YAML"),
    ],
)
def test_a_text_that_is_no_document_says_where(text, line, message):
    with pytest.raises(DocumentError) as caught:
        load_yaml(text)
    assert caught.value.place.line == line
    assert message in str(caught.value)


def test_what_is_wrong_inside_is_told_at_once():
    tag = "tag:yaml.org,2002:python/name:os.system"
    document = load_yaml(
        "a: 1\nb: !!bool maybe\na: 2\n[c]: 3\nd:\n  e: 4\n  e: 5\nf: !!timestamp noon\n"
        "g: 2024-13-45\nh: !!python/name:os.system\ni: " + "9" * 5000
    )
    assert [(document.place(fault), fault.message) for fault in document.faults] == [
        (Place(3, 1), "duplicate key 'a' (first in line 1)"),
        (Place(4, 1), "a key must be a word"),
        (Place(2, 4), "not a YAML value: 'maybe' is no bool"),
        (Place(7, 3), "duplicate key 'e' (first in line 6)"),
        (Place(8, 4), "not a YAML value: 'noon' is no timestamp"),
        (Place(9, 4), "not a YAML value: '2024-13-45' is no timestamp"),
        (Place(10, 4), f"not a YAML value: could not determine a constructor for the tag {tag!r}"),
        (Place(11, 4), f"not a YAML value: '{'9' * 60}' is no int"),
    ]
    assert document.values["a"] == 1
    assert document.values["d"] == {"e": 4}


printable = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | printable,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(printable, inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_what_yaml_writes_is_read_back(values):
    assert load_yaml(yaml.safe_dump(values, allow_unicode=True)).values == values


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_has_a_place(text):
    try:
        document = load_yaml(text)
    except DocumentError as error:
        place = error.place
    else:
        place = document.places[()]
    assert place >= Place(1, 1)
