"""YAML text → values and where each stands; strict JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

Steps: TypeAlias = tuple[str | int, ...]

MAX_COPIES = 10_000
"""Values that aliases may repeat in one YAML document; more is an alias bomb."""

MAX_DEPTH = 50


class Place(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


class Fault(NamedTuple):
    """What is wrong with the value (or the key) at the end of `steps`."""

    steps: Steps
    message: str
    at_key: bool = False


class DocumentError(Exception):
    """Say why a text can't be read, and where."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The values of a YAML text, with the place of each value and of each key."""

    values: Any
    places: Mapping[Steps, Place]
    keys: Mapping[Steps, Place]

    def place(self, fault: Fault) -> Place:
        """Find where a fault stands: its value, its key, or the nearest thing around it."""
        steps = fault.steps
        if fault.at_key and steps in self.keys:
            return self.keys[steps]
        while steps not in self.places:
            steps = steps[:-1]
        return self.places[steps]


@dataclass(kw_only=True, slots=True)
class _Builder:
    loader: Any
    places: dict[Steps, Place] = field(default_factory=dict)
    keys: dict[Steps, Place] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    copies: int = 0

    def build(self, node: yaml.Node, steps: Steps) -> Any:  # noqa: ANN401 -- any YAML value
        import yaml  # noqa: PLC0415 -- costs 20 ms, needed with a manifest only

        place = _place(node.start_mark)
        self.copies += id(node) in self.seen
        self.seen.add(id(node))
        if self.copies > MAX_COPIES or len(steps) > MAX_DEPTH:
            raise DocumentError(place, "the document repeats too much or is nested too deeply")
        self.places[steps] = place
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, steps)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*steps, i)) for i, item in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise DocumentError(place, f"not a YAML value: {_first_line(error)}") from error

    def _mapping(self, node: yaml.MappingNode, steps: Steps) -> dict[str, Any]:
        _refuse_duplicates(node)
        self.loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            self.keys[*steps, key] = _place(key_node.start_mark)
            values[key] = self.build(value_node, (*steps, key))
        return values


def load_yaml(text: str) -> Document:
    """Read a YAML text; raise DocumentError for bad syntax, a duplicate key or an alias bomb."""
    import yaml  # noqa: PLC0415 -- costs 20 ms, needed with a manifest only

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise DocumentError(Place(1, 1), "the file is empty")
        builder = _Builder(loader=loader)
        values = builder.build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(mark) if mark else Place(1, 1)
        raise DocumentError(place, f"not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise DocumentError(Place(1, 1), f"not YAML: {_first_line(error)}") from error
    except RecursionError as error:
        raise DocumentError(Place(1, 1), "the document is nested too deeply") from error
    finally:
        loader.dispose()
    return Document(values=values, places=builder.places, keys=builder.keys)


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    seen: dict[str, Place] = {}
    for key_node, _ in node.value:
        place, key = _place(key_node.start_mark), key_node.value
        if not isinstance(key, str):
            raise DocumentError(place, "a key must be a word")
        if key in seen:
            raise DocumentError(place, f"duplicate key {key!r} (first in line {seen[key].line})")
        seen[key] = place


def _place(mark: Any) -> Place:  # noqa: ANN401 -- yaml's mark is of two types, C and Python
    return Place(mark.line + 1, mark.column + 1)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def open_decoder() -> json.JSONDecoder:
    """Make a decoder of strict JSON: a key stands once in an object, numbers are finite.

    It raises ValueError for both.
    """
    return json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"duplicate key {twice!r}")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
