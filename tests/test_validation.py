"""Our own reading of schemas against jsonschema's, and what people are told."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators

from pytest_experiment_profiler.validation import (
    Schema,
    accepts,
    check,
    load_schema,
    suggest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = ("manifest", "dialogue", "mock_responses")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)

TEXTS = (
    "",
    " ",
    "demo_run",
    "claude-haiku-4-5",
    "two words",
    "../x",
    "x\n",
    "\x00",
    "é",
    "x" * 101,
)
NUMBERS = (-1, 0, 1, 2, 99, 100, 600, 1000, 1001, 0.0, 0.5, 1.0, 1.5, True, False, 10**400)
ODD = st.sampled_from([None, True, 0, 1.0, "", "x", [], [""], {}, {"x": 1}, float("inf")])


def draw_near(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    """Draw values that a schema accepts, and others that it nearly does."""
    if "$ref" in schema:
        inner = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            inner = inner[step]
        return draw_near(inner, root)
    if "anyOf" in schema:
        near = st.one_of([draw_near(option, root) for option in schema["anyOf"]])
    elif "enum" in schema:
        near = st.sampled_from(schema["enum"])
    elif schema.get("type") == "object":
        near = draw_object(schema, root)
    elif schema.get("type") == "array":
        near = st.lists(draw_near(schema.get("items", {}), root), max_size=3)
    else:
        kinds = str(schema.get("type", "string"))
        near = st.sampled_from(NUMBERS if {kinds} & {"integer", "number"} else TEXTS)
    return st.integers(0, 9).flatmap(lambda dice: near if dice else ODD)


def draw_object(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    known = {key: draw_near(sub, root) for key, sub in schema.get("properties", {}).items()}
    extra = schema.get("additionalProperties", True)
    further = draw_near(extra, root) if isinstance(extra, dict) else ODD
    required = {key: known[key] for key in schema.get("required", ())}
    optional = {key: known[key] for key in known if key not in required}
    keys = st.sampled_from([(), (), (), ("further",)] if extra is False else [(), ("further",)])
    return st.builds(
        lambda values, more: values | more,
        st.fixed_dictionaries(required, optional=optional),
        keys.flatmap(lambda names: st.fixed_dictionaries(dict.fromkeys(names, further))),
    )


def is_number(value):
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and abs(value) <= sys.float_info.max


KINDS: dict[str, Callable[[Any, Any], bool]] = {
    "integer": lambda _, value: isinstance(value, int) and is_number(value),
    "number": lambda _, value: is_number(value),
    "object": lambda _, value: isinstance(value, dict),
    "array": lambda _, value: isinstance(value, list),
}


def make_oracle(schema: Schema) -> Any:
    """Make jsonschema's validator, with YAML's kinds: 1.0 is no integer, infinity no number."""
    kinds = Draft202012Validator.TYPE_CHECKER.redefine_many(KINDS)
    strict = validators.extend(Draft202012Validator, type_checker=kinds)
    return strict(schema)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    Draft202012Validator.check_schema(load_schema(name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_accepts_what_jsonschema_accepts(name):
    schema = load_schema(name)
    oracle = make_oracle(schema)

    @given(draw_near(schema, schema) | JSON)
    def agrees(values):
        assert accepts(values, name) == oracle.is_valid(values)

    agrees()


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_not_accepted_has_faults_and_nothing_else(name):
    schema = load_schema(name)

    @given(draw_near(schema, schema) | JSON)
    def agrees(values):
        assert bool(check(values, name)) != accepts(values, name)

    agrees()


def test_every_keyword_of_the_schemas_is_known():
    for name in SCHEMAS:
        check(json.loads('{"": 1}'), name)


KEYS = ", ".join(load_schema("manifest")["properties"])
GOOD = {"experiment_id": "a", "model": "m", "max_tokens": 1, "dataset_path": "d.json"}


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({}, []),
        ({"temperature": 0}, []),
        ({"temperature": "0.2"}, ["temperature must be a number from 0 to 1, not the text '0.2'"]),
        ({"temperature": True}, ["temperature must be a number from 0 to 1, not true"]),
        ({"temperature": float("nan")}, ["temperature must be a number from 0 to 1, not nan"]),
        ({"max_tokens": 0}, ["max_tokens must be a whole number from 1 to 10000000, not 0"]),
        ({"max_tokens": 1.0}, ["max_tokens must be a whole number from 1 to 10000000, not 1.0"]),
        ({"max_tokens": None}, ["max_tokens must be a whole number from 1 to 10000000, not empty"]),
        ({"log_schema_version": 2}, ["log_schema_version must be one of 1, not 2"]),
        ({"log_schema_version": True}, ["log_schema_version must be one of 1, not true"]),
        ({"metrics": []}, ["metrics must be a list of different metrics, not an empty list"]),
        (
            {"metrics": ["fact_coverge"]},
            [
                (
                    "metrics[0] must be one of fact_coverage, refusal_rate, geometric_mean "
                    "(did you mean 'fact_coverage'?), not the text 'fact_coverge'"
                )
            ],
        ),
        (
            {"tempreature": 1},
            [f"unknown key 'tempreature' (did you mean 'temperature'?); allowed: {KEYS}"],
        ),
        (
            {"budget": {}},
            ["budget must be a mapping with usd, tokens or both, not an empty mapping"],
        ),
        (
            {"facts": {"match": "loose"}, "budget": {"usd": 0}},
            [
                "budget.usd must be an amount above 0, not 0",
                "facts.match must be one of lenient, strict, exact, not the text 'loose'",
            ],
        ),
    ],
)
def test_faults_say_what_is_allowed(changes, messages):
    found = [fault.message for fault in check(GOOD | changes, "manifest")]
    assert found == messages


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ({"any_of": ["a", 5]}, "required_facts[0].any_of[1] must be text that is not blank, not 5"),
        (
            {"any_of": ["a"], "trn": 1},
            (
                "unknown key 'trn' (did you mean 'turn'?); "
                "allowed: any_of, all_of, none_of, regex, turn"
            ),
        ),
        (["a", 5], "required_facts[0][1] must be text that is not blank, not 5"),
        (
            {},
            (
                "required_facts[0] must be one of {any_of}, {all_of}, {none_of}, {regex} "
                "(with turn, from 0), not an empty mapping"
            ),
        ),
        (
            5,
            (
                "required_facts[0] must be a text, a list of accepted wordings, or one of "
                "{any_of}, {all_of}, {none_of}, {regex} (with turn, from 0), not 5"
            ),
        ),
    ],
)
def test_of_several_forms_the_one_that_is_meant_is_judged(fact, message):
    faults = check({"dialogue_id": "a", "user": "x", "required_facts": [fact]}, "dialogue")
    assert [fault.message for fault in faults] == [message]


def test_each_missing_key_is_named_once():
    found = [fault.message for fault in check({}, "manifest")]
    assert sorted(found) == sorted(f"required key {key!r} is missing" for key in GOOD)


def test_the_wrong_kind_of_document_is_named():
    faults = check(["a"], "manifest")
    assert [fault.message for fault in faults] == [
        (
            "the document must be a mapping of keys such as experiment_id, model, max_tokens and "
            "dataset_path, not a list"
        )
    ]


def test_a_long_wrong_text_is_cut():
    [fault] = check(GOOD | {"experiment_id": "x y" * 1000}, "manifest")
    assert len(fault.message) < 200


def test_suggestions():
    assert suggest("modle", ["model", "metrics"]) == (
        " (did you mean 'model'?); allowed: model, metrics"
    )
    assert suggest("zzz", ["model", "metrics"]) == "; allowed: model, metrics"
    assert suggest("zzz", []) == ""
