"""YAML text → values and where each stands; strict JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

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
    """What is wrong with the value (or the key) at the end of `steps`, or at a place of its own."""

    steps: Steps
    message: str
    at_key: bool = False
    own_place: Place | None = None


class DocumentError(Exception):
    """Say why a text can't be read, and where."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


class Document(NamedTuple):
    """The values of a YAML text, the place of each value and of each key, and what is wrong.

    A value that can't be read is None, of a key that stands twice the first is taken.
    """

    values: Any
    faults: tuple[Fault, ...]
    places: Mapping[Steps, Place]
    keys: Mapping[Steps, Place]

    def place(self, fault: Fault) -> Place:
        """Find where a fault stands: its value, its key, or the nearest thing around it."""
        steps = fault.steps
        if fault.own_place:
            return fault.own_place
        if fault.at_key and steps in self.keys:
            return self.keys[steps]
        while steps not in self.places:
            steps = steps[:-1]
        return self.places[steps]


@dataclass(kw_only=True, slots=True)
class _Builder:
    loader: Any
    faults: list[Fault] = field(default_factory=list)
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
        return self._scalar(node, steps)

    def _scalar(self, node: yaml.Node, steps: Steps) -> Any:  # noqa: ANN401 -- any YAML scalar
        import yaml  # noqa: PLC0415 -- costs 20 ms, needed with a manifest only

        try:
            return self.loader.construct_object(node)
        except yaml.YAMLError as error:
            reason = _first_line(error)
        except (AttributeError, LookupError, ValueError):  # of texts that a tag doesn't fit
            reason = f"{node.value[:60]!r} is no {node.tag.rpartition(':')[2]}"
        self.faults.append(Fault(steps, f"not a YAML value: {reason}"))
        return None

    def _mapping(self, node: yaml.MappingNode, steps: Steps) -> dict[str, Any]:
        node.value = list(self._distinct(node, steps))
        self.loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            self.keys[*steps, key] = _place(key_node.start_mark)
            values[key] = self.build(value_node, (*steps, key))
        return values

    def _distinct(
        self, node: yaml.MappingNode, steps: Steps
    ) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Yield the pairs of a mapping but those whose key can't be one."""
        seen: dict[str, Place] = {}
        for key_node, value_node in node.value:
            place, key = _place(key_node.start_mark), key_node.value
            if not isinstance(key, str):
                self.faults.append(Fault(steps, "a key must be a word", own_place=place))
            elif key in seen:
                message = f"duplicate key {key!r} (first in line {seen[key].line})"
                self.faults.append(Fault((*steps, key), message, own_place=place))
            else:
                seen[key] = place
                yield key_node, value_node


def load_yaml(text: str) -> Document:
    """Read a YAML text; raise DocumentError for bad syntax or an alias bomb."""
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
    return Document(
        values=values, faults=tuple(builder.faults), places=builder.places, keys=builder.keys
    )


def _place(mark: Any) -> Place:  # noqa: ANN401 -- yaml's mark is of two types, C and Python
    return Place(mark.line + 1, mark.column + 1)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def find_bad_text(path: Path) -> tuple[Place, str]:
    """Say where a file stops being UTF-8, and why."""
    before = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                place = Place(number, len(line[: error.start].decode()) + 1)
                return place, f"not UTF-8 text (byte {before + error.start}: {error.reason})"
            before += len(line)
    return Place(1, 1), "not UTF-8 text"


def open_decoder() -> json.JSONDecoder:
    """Make a decoder of strict JSON: a key stands once in an object, numbers are finite.

    It raises ValueError for both.
    """
    return json.JSONDecoder(
        object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
    )


def open_encoder(*, ensure_ascii: bool = False) -> Callable[[Any], str]:
    """Make a function that writes objects and arrays as strict JSON.

    json makes its inner encoder anew for each text, which takes as long as writing a short one.
    """
    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # not CPython
        return encoder.encode
    quote = json.encoder.encode_basestring_ascii if ensure_ascii else json.encoder.encode_basestring
    write = make(None, encoder.default, quote, None, ": ", ", ", False, False, False)  # noqa: FBT003
    return lambda values: "".join(write(values, 0))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"duplicate key {twice!r}")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:60]} is too large a number")
    return number
