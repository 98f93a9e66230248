"""Values and a schema of this package → what is wrong with them, and what was probably meant."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from pytest_experiment_profiler.documents import Fault, Steps

Schema: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Any], bool]

MAX_SHOWN = 60
"""Characters of a wrong value that are shown."""


@cache
def load_schema(name: str) -> Schema:
    """Read a schema of this package by name, such as "manifest"."""
    file = Path(__file__).with_name("schemas") / f"{name}.schema.json"
    schema: Schema = json.loads(file.read_text("utf-8"))
    return schema


def check(values: Any, name: str) -> list[Fault]:  # noqa: ANN401 -- what is to be checked
    """List all that a schema finds wrong with values.

    jsonschema takes 70 ms to import, so it is asked only about values that `accepts` refuses.
    """
    if accepts(values, name):
        return []
    faults = set(_faults(values, load_schema(name)))
    return sorted(faults, key=lambda fault: [str(s) for s in fault.steps])


def accepts(values: Any, name: str) -> bool:  # noqa: ANN401 -- what is to be checked
    """Tell whether values fit a schema of this package."""
    return _find_test(name)(values)


@cache
def _find_test(name: str) -> Test:
    schema = load_schema(name)
    return _make_test(schema, schema)


def _make_test(schema: Schema, root: Schema) -> Test:
    """Make what tells whether values fit a schema; it knows this package's keywords only."""
    tests = [
        _KEYWORDS[keyword](demand, schema, root)
        for keyword, demand in schema.items()
        if keyword not in _NOTES
    ]

    # The loops here are written out: each value of each row of a dataset goes through them.
    def fits(values: Any) -> bool:  # noqa: ANN401 -- what is tested
        for test in tests:  # noqa: SIM110 -- a generator takes twice as long
            if not test(values):
                return False
        return True

    return tests[0] if len(tests) == 1 else fits


_NOTES = frozenset({"$schema", "$id", "$defs", "title", "description", "default", "x-expected"})
_TYPES: Mapping[str, Test] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and _TYPES["number"](v),
    "number": lambda v: (
        isinstance(v, int | float)
        and not isinstance(v, bool)
        and -sys.float_info.max <= v <= sys.float_info.max
    ),
}


def _type(demand: str | list[str], _schema: Schema, _root: Schema) -> Test:
    if isinstance(demand, str):
        return _TYPES[demand]
    tests = [_TYPES[kind] for kind in demand]
    return lambda values: any(test(values) for test in tests)


def _properties(demand: Mapping[str, Schema], _schema: Schema, root: Schema) -> Test:
    tests = {key: _make_test(schema, root) for key, schema in demand.items()}

    def fits(values: object) -> bool:
        if isinstance(values, dict):
            for key, value in values.items():
                test = tests.get(key)
                if test is not None and not test(value):
                    return False
        return True

    return fits


def _additional(demand: bool | Schema, schema: Schema, root: Schema) -> Test:  # noqa: FBT001
    known = schema.get("properties", {})
    test: Test = (lambda _: demand) if isinstance(demand, bool) else _make_test(demand, root)
    return lambda values: (
        not isinstance(values, dict)
        or all(test(value) for key, value in values.items() if key not in known)
    )


def _items(demand: Schema, _schema: Schema, root: Schema) -> Test:
    test = _make_test(demand, root)
    return lambda values: not isinstance(values, list) or all(map(test, values))


def _any_of(demand: list[Schema], _schema: Schema, root: Schema) -> Test:
    tests = [_make_test(schema, root) for schema in demand]

    def fits(values: Any) -> bool:  # noqa: ANN401 -- what is tested
        for test in tests:  # noqa: SIM110 -- see _make_test
            if test(values):
                return True
        return False

    return fits


def _refer(demand: str, _schema: Schema, root: Schema) -> Test:
    schema = root
    for step in demand.removeprefix("#/").split("/"):
        schema = schema[step]
    return _make_test(schema, root)


def _pattern(demand: str, _schema: Schema, _root: Schema) -> Test:
    search = re.compile(demand).search
    return lambda values: not isinstance(values, str) or search(values) is not None


def _plain(test: Callable[[Any, Any], bool]) -> Callable[[Any, Schema, Schema], Test]:
    return lambda demand, _schema, _root: lambda values: test(values, demand)


_KEYWORDS: Mapping[str, Callable[[Any, Schema, Schema], Test]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
    "$ref": _refer,
    "pattern": _pattern,
    "required": _plain(lambda v, d: not isinstance(v, dict) or all(key in v for key in d)),
    "minItems": _plain(lambda v, d: not isinstance(v, list) or len(v) >= d),
    "uniqueItems": _plain(
        lambda v, d: not (isinstance(v, list) and d) or len({str(x) for x in v}) == len(v)
    ),
    "minProperties": _plain(lambda v, d: not isinstance(v, dict) or len(v) >= d),
    "enum": _plain(lambda v, d: any(v == x and type(v) is type(x) for x in d)),
    "const": _plain(lambda v, d: v == d and type(v) is type(d)),
    "minimum": _plain(lambda v, d: not _TYPES["number"](v) or v >= d),
    "exclusiveMinimum": _plain(lambda v, d: not _TYPES["number"](v) or v > d),
    "maximum": _plain(lambda v, d: not _TYPES["number"](v) or v <= d),
}


def _faults(values: Any, schema: Schema) -> Iterator[Fault]:  # noqa: ANN401
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 -- see check

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {kind: lambda _, v, test=test: test(v) for kind, test in _TYPES.items()}
    )
    strict = validators.extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    validator = strict(schema)
    for error in validator.iter_errors(values):
        for narrow in _narrow(error):
            yield from _explain(narrow)


def _narrow(error: Any) -> list[Any]:  # noqa: ANN401 -- jsonschema's errors
    """Take, where one of several forms is clearly meant, what is wrong with that one."""
    forms: dict[int, list[Any]] = {}
    for inner in error.context if error.validator == "anyOf" else ():
        forms.setdefault(inner.schema_path[0], []).extend(_narrow(inner))
    meant = [errors for errors in forms.values() if not any(map(_is_other_kind, errors))]
    return meant[0] if len(meant) == 1 else [error]


def _is_other_kind(error: Any) -> bool:  # noqa: ANN401 -- jsonschema's error
    """Tell whether a value is not even of a form's kind."""
    return error.validator in {"type", "anyOf"} and not error.relative_path


def _explain(error: Any) -> Iterator[Fault]:  # noqa: ANN401 -- jsonschema's error
    steps: Steps = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                yield Fault((*steps, key), f"unknown key {key!r}{suggest(key, known)}", at_key=True)
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        tells_unknown = error.schema.get("additionalProperties", True) is False
        for key in missing:
            hint = "" if tells_unknown else find_misspelt(key, error.instance)
            yield Fault(steps, f"required key {key!r} is missing{hint}", at_key=True)
    else:
        shown = _find_twice(error) or _show(error.instance)
        yield Fault(steps, f"{_name(steps)} must be {_expected(error)}, not {shown}")


def _find_twice(error: Any) -> str | None:  # noqa: ANN401 -- jsonschema's error
    if error.validator != "uniqueItems":
        return None
    items = list(map(str, error.instance))
    return f"one with {next(item for item in items if items.count(item) > 1)} twice"


def _name(steps: Steps) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".") or "the document"


def _expected(error: Any) -> str:  # noqa: ANN401 -- jsonschema's error
    if "x-expected" in error.schema:
        return str(error.schema["x-expected"])
    if error.validator == "enum":
        hint = find_near(error.instance, error.validator_value)
        return "one of " + ", ".join(map(str, error.validator_value)) + hint
    kinds = {
        "object": "a mapping",
        "array": "a list",
        "string": "text",
        "integer": "a whole number",
    }
    if error.validator == "type" and isinstance(error.validator_value, str):
        return kinds.get(error.validator_value, f"a {error.validator_value}")
    return f"valid ({error.validator}: {error.validator_value})"


def _show(value: Any) -> str:  # noqa: ANN401 -- the wrong value
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f"the text {_cut(value)!r}"
    return str(value).lower() if isinstance(value, bool) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) < MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def suggest(word: object, known: list[str]) -> str:
    """Return " (did you mean ...?)" where a known word is near, and what is allowed."""
    return find_near(word, known) + (f"; allowed: {', '.join(known)}" if known else "")


def find_near(word: object, known: Iterable[object], cutoff: float = 0.6) -> str:
    """Return " (did you mean ...?)" where another known word is near, else nothing."""
    near = difflib.get_close_matches(str(word), map(str, known), n=1, cutoff=cutoff)
    return f" (did you mean {near[0]!r}?)" if near and near[0] != str(word) else ""


def find_misspelt(key: str, values: Mapping[str, Any]) -> str:
    """Return " (did you mean it by ...?)" where values have a key near the one they lack."""
    near = difflib.get_close_matches(key, values, n=1)
    return f" (did you mean it by {near[0]!r}?)" if near else ""
