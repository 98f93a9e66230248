"""A dataset on disk → dialogues, one after the other; what is wrong with it → problems."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler import documents, validation
from pytest_experiment_profiler.errors import ManifestError, Problem
from pytest_experiment_profiler.experiment import Dialogue
from pytest_experiment_profiler.records import FACT_FORMS, parse_fact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MAX_PROBLEMS = 20
"""Problems of one dataset that are told; the rest is counted."""

_KNOWN = frozenset({"dialogue_id", "system", "user", "turns", "required_facts", "_place"})
_LIST_COLUMNS = ("turns", "required_facts", "tags")
_SPACE = re.compile(r"[ \t\r\n]*")
_write_json = documents.open_encoder()


class Row(NamedTuple):
    """One row of a dataset as it stands there, or what keeps it from being read."""

    line: int
    column: int
    values: Any
    problem: str | None = None


def read_dialogues(path: Path, *, checked: bool = False) -> Iterator[Dialogue]:
    """Yield the dialogues of a dataset in order; raise ManifestError at the first problem.

    Of one that was `checked`, and has not changed since, only the text is read.
    """
    for position, row in enumerate(read_rows(path)):
        if checked and row.problem is None:
            yield _dialogue(row, path, position)
            continue
        messages = _row_messages(row)
        if messages:
            raise ManifestError([Problem(path, row.line, row.column, m) for m in messages])
        yield _dialogue(row, path, position)


def compile_pattern(pattern: str) -> str | None:
    """Say what keeps a pattern from being a regular expression, if anything does."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the regex {pattern!r} is wrong: {error}"
    return None


def check_dataset(
    path: Path,
    check_pattern: Callable[[str], str | None] = compile_pattern,
    look_at: Callable[[Mapping[str, Any], int], None] = lambda _values, _line: None,
) -> tuple[list[Problem], dict[str, int]]:
    """Look through a dataset: its problems, and the line of each dialogue id.

    `check_pattern` says what is wrong with a fact's regular expression; `look_at` gets each valid
    row and its line.
    """
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    found = 0
    for row in read_rows(path):
        messages = _row_messages(row)
        if not messages:
            messages = _pattern_messages(row.values, check_pattern)
            look_at(row.values, row.line)
        messages += _note_id(row, lines)
        found += len(messages)
        room = MAX_PROBLEMS - len(problems)
        problems += [Problem(path, row.line, row.column, m) for m in messages[:room]]
    if found > len(problems):
        problems.append(Problem(path, 1, 1, f"{found - len(problems)} further problems"))
    if not lines and not problems:
        problems.append(Problem(path, 1, 1, "the dataset is empty: it holds no dialogue"))
    return problems, lines


def _note_id(row: Row, lines: dict[str, int]) -> list[str]:
    """Note the line of a row's id; say so if it has one already."""
    dialogue_id = row.values.get("dialogue_id") if isinstance(row.values, dict) else None
    if not isinstance(dialogue_id, str) or not dialogue_id.strip():
        return []
    if dialogue_id in lines:
        return [f"duplicate dialogue_id {dialogue_id!r} (first in line {lines[dialogue_id]})"]
    lines[dialogue_id] = row.line
    return []


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a dataset; a text that can't be read ends with a row that says why."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        yield Row(1, 1, None, f"unknown dataset suffix {path.suffix!r} (allowed: {known})")
        return
    try:
        yield from reader(path)
    except UnicodeDecodeError:
        place, message = documents.find_bad_text(path)
        yield Row(*place, None, message)
    except OSError as error:
        yield Row(1, 1, None, f"can't be read: {error.strerror or error}")


def _dialogue(row: Row, path: Path, position: int) -> Dialogue:
    values = row.values
    return Dialogue(
        dialogue_id=values["dialogue_id"],
        system=values.get("system"),
        turns=tuple(values["turns"]) if "turns" in values else (values["user"],),
        required_facts=tuple(map(parse_fact, values.get("required_facts", ()))),
        file=path,
        line=row.line,
        position=position,
        extra={key: value for key, value in values.items() if key not in _KNOWN},
    )


def _row_messages(row: Row) -> list[str]:
    if row.problem:
        return [row.problem]
    values = row.values
    messages = [fault.message for fault in validation.check(values, "dialogue")]
    if isinstance(values, dict) and ("user" in values) == ("turns" in values):
        both = "user" in values
        missing = f"required key 'user' is missing{validation.find_misspelt('user', values)}"
        messages.append("give either user or turns, not both" if both else missing)
    if messages:
        return messages
    turns = len(values.get("turns", "u"))
    wrong = [message for form in _forms(values) for message in _form_messages(form, turns)]
    return wrong + _text_messages(values)


def _forms(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the facts that are written as objects."""
    return [fact for fact in values.get("required_facts", ()) if isinstance(fact, dict)]


def _form_messages(fact: Mapping[str, Any], turns: int) -> Iterator[str]:
    forms = [form for form in FACT_FORMS if form in fact]
    if len(forms) != 1:
        yield f"a fact has exactly one of {', '.join(FACT_FORMS)}, not {len(forms)}"
    if fact.get("turn", 0) >= turns:
        last = f"the dialogue's last turn is {turns - 1} (from 0)"
        yield f"a fact names turn {fact['turn']}, but {last}"


def _pattern_messages(
    values: Mapping[str, Any], check_pattern: Callable[[str], str | None]
) -> list[str]:
    found = [check_pattern(fact["regex"]) for fact in _forms(values) if "regex" in fact]
    return [message for message in found if message]


def _text_messages(values: Mapping[str, Any]) -> list[str]:
    try:
        _write_json(values).encode()
    except UnicodeEncodeError as error:
        return [f"text holds the lone surrogate {error.object[error.start]!a}, which can't be sent"]
    except ValueError:
        return ["a value has no JSON form (an infinite number, or NaN)"]
    except (TypeError, RecursionError) as error:
        return [f"a value has no JSON form ({error})"]
    return []


def _read_json(path: Path) -> Iterator[Row]:
    text = path.read_text("utf-8-sig")
    decode = documents.open_decoder().raw_decode
    at = _skip_space(text, 0)
    if at == len(text):
        return
    if text[at : at + 1] != "[":
        yield Row(1, 1, None, "a JSON dataset is an array of dialogues (one object a line: .jsonl)")
        return
    line, line_start, counted = 1, 0, 0
    at = _skip_space(text, at + 1)
    while text[at : at + 1] != "]":
        line += text.count("\n", counted, at)
        line_start = max(line_start, text.rfind("\n", counted, at) + 1)
        counted = at
        try:
            values, at = decode(text, at)
        except (ValueError, RecursionError) as error:
            yield _broken_json(error, line, at - line_start + 1)
            return
        yield Row(line, counted - line_start + 1, values)
        at = _skip_space(text, at)
        if text[at : at + 1] == ",":
            at = _skip_space(text, at + 1)
            if text[at : at + 1] == "]":
                yield _odd_json(text, at, "expected a dialogue after ','")
                return
        elif text[at : at + 1] != "]":
            yield _odd_json(text, at, "expected ',' or ']' after a dialogue")
            return
    rest = _skip_space(text, at + 1)
    if rest < len(text):
        yield _odd_json(text, rest, "text after the end of the array")


def _odd_json(text: str, at: int, message: str) -> Row:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return Row(line, column, None, f"not JSON: {message}")


def _read_jsonl(path: Path) -> Iterator[Row]:
    decoder = documents.open_decoder()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield Row(number, 1, decoder.decode(text))
            except (ValueError, RecursionError) as error:
                yield _broken_json(error, number, 1)


def _read_yaml(path: Path) -> Iterator[Row]:
    try:
        document = documents.load_yaml(path.read_text("utf-8-sig"))
    except documents.DocumentError as error:
        yield Row(*error.place, None, str(error))
        return
    for fault in document.faults:
        yield Row(*document.place(fault), None, fault.message)
    if not isinstance(document.values, list):
        yield Row(1, 1, None, "a YAML dataset is a list of dialogues")
        return
    unread = {fault.steps[0] for fault in document.faults}
    for i, values in enumerate(document.values):
        if i not in unread:
            yield Row(*document.places[i,], values)


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            columns = next(filter(None, reader), [])
            if len(set(columns)) < len(columns):
                yield Row(1, 1, None, "two columns have one name")
                return
            end = reader.line_num
            for cells in reader:
                start, end = end + 1, reader.line_num
                if cells:
                    yield _csv_row(start, columns, cells)
        except csv.Error as error:
            yield Row(reader.line_num, 1, None, f"not CSV: {error}")


def _csv_row(line: int, columns: list[str], cells: list[str]) -> Row:
    if len(cells) != len(columns):
        return Row(line, 1, None, f"{len(cells)} cells for {len(columns)} columns")
    values: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if not cell:
            continue
        if column not in _LIST_COLUMNS:
            values[column] = cell
        elif cell.lstrip().startswith("["):
            try:
                values[column] = documents.open_decoder().decode(cell)
            except (ValueError, RecursionError) as error:
                return Row(line, 1, None, f"{column} is no JSON list: {error}")
        else:
            values[column] = [part.strip() for part in cell.split(";") if part.strip()]
    return Row(line, 1, values)


def _broken_json(error: Exception, line: int, column: int) -> Row:
    if isinstance(error, UnicodeDecodeError):
        column = len(error.object[: error.start].decode()) + 1
        return Row(line, column, None, f"not UTF-8 text ({error.reason})")
    if isinstance(error, json.JSONDecodeError):
        extra = error.doc.count("\n", 0, error.pos) + 1
        line = max(line, extra) if extra > 1 else line
        return Row(line, error.colno, None, f"not JSON: {error.msg.removesuffix(' at')}")
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Row(line, column, None, f"not JSON: {reason}")


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".csv": _read_csv,
}
