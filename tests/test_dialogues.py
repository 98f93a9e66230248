"""Datasets in each format: what is read, lazily, and what is wrong where."""

from __future__ import annotations

import csv
import io
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.dialogues import (
    MAX_PROBLEMS,
    check_dataset,
    read_dialogues,
    read_rows,
)
from pytest_experiment_profiler.errors import ManifestError
from pytest_experiment_profiler.experiment import Fact

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = [
    {"dialogue_id": "a", "user": "One?", "required_facts": ["1", ["uno", "one"]]},
    {"dialogue_id": "b", "turns": ["Two?", "Sure?"], "system": "Be brief.", "tags": ["x", "y"]},
]


def write(folder, name, text):
    path = folder / name
    path.write_text(text, "utf-8", newline="")
    return path


def tell(path):
    """Say the problems of a dataset as line:column: message."""
    return [f"{p.line}:{p.column}: {p.message}" for p in check_dataset(path)[0]]


# --- formats

FORMATS = {
    "d.json": json.dumps(ROWS, indent=2),
    "d.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "d.JSONL": "\n\n".join(json.dumps(row) for row in ROWS),
    "d.yaml": """
- dialogue_id: a
  user: One?
  required_facts: ["1", [uno, one]]
- {dialogue_id: b, turns: [Two?, Sure?], system: Be brief., tags: [x, y]}
""",
    "d.csv": """\
dialogue_id,user,turns,system,required_facts,tags
a,One?,,,"[""1"", [""uno"", ""one""]]",
b,,Two?; Sure? ,Be brief.,,x;y
""",
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_says_the_same(tmp_path, name):
    first, second = read_dialogues(write(tmp_path, name, FORMATS[name]))
    assert (first.dialogue_id, first.turns, first.system) == ("a", ("One?",), None)
    assert first.required_facts == (Fact(wordings=("1",)), Fact(wordings=("uno", "one")))
    assert (second.dialogue_id, second.turns) == ("b", ("Two?", "Sure?"))
    assert (second.system, second.extra) == ("Be brief.", {"tags": ["x", "y"]})
    assert (first.position, second.position) == (0, 1)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("d.json", [2, 13]),
        ("d.jsonl", [1, 2]),
        ("d.JSONL", [1, 3]),
        ("d.yaml", [2, 5]),
        ("d.csv", [2, 3]),
    ],
)
def test_dialogues_know_their_line(tmp_path, name, lines):
    path = write(tmp_path, name, FORMATS[name])
    assert [dialogue.line for dialogue in read_dialogues(path)] == lines
    assert check_dataset(path) == ([], dict(zip("ab", lines, strict=True)))


@pytest.mark.parametrize("name", ["d.json", "d.jsonl", "d.yaml", "d.csv"])
def test_a_byte_order_mark_is_no_matter(tmp_path, name):
    path = write(tmp_path, name, "\ufeff" + FORMATS[name])
    assert [dialogue.dialogue_id for dialogue in read_dialogues(path)] == ["a", "b"]


@pytest.mark.parametrize("name", ["d.json", "d.jsonl", "d.yaml", "d.csv"])
def test_windows_lines_are_no_matter(tmp_path, name):
    path = write(tmp_path, name, FORMATS[name].replace("\n", "\r\n"))
    assert [dialogue.dialogue_id for dialogue in read_dialogues(path)] == ["a", "b"]


def test_a_separator_of_lines_in_a_text_ends_no_line(tmp_path):
    rows = [{"dialogue_id": f"d{i}", "user": "a\u2028b\u0085c"} for i in range(2)]
    path = write(
        tmp_path, "d.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    )
    assert [dialogue.line for dialogue in read_dialogues(path)] == [1, 2]


def test_a_csv_cell_may_hold_lines(tmp_path):
    path = write(tmp_path, "d.csv", 'dialogue_id,user\na,"One\nor two?"\nb,Three?\n')
    assert [(d.turns, d.line) for d in read_dialogues(path)] == [
        (("One\nor two?",), 2),
        (("Three?",), 4),
    ]


def test_blank_lines_of_csv_are_no_rows(tmp_path):
    path = write(tmp_path, "d.csv", "\n\ndialogue_id,user\n\na,One?\n")
    assert [(d.dialogue_id, d.line) for d in read_dialogues(path)] == [("a", 5)]


def test_an_empty_csv_cell_is_an_absent_key(tmp_path):
    path = write(tmp_path, "d.csv", "dialogue_id,user,cluster\na,One?,\nb,Two?,c\n")
    assert [dialogue.extra for dialogue in read_dialogues(path)] == [{}, {"cluster": "c"}]


@pytest.mark.parametrize(("name", "start"), [("d.jsonl", ""), ("d.csv", "dialogue_id,user\n")])
def test_what_can_be_read_lazily_is(tmp_path, name, start):
    rows = {
        "d.jsonl": '{"dialogue_id": "a", "user": "b"}\n{"dialogue_id": "b", "user": "b"}\n{broken',
        "d.csv": 'a,b\nb,b\nc,"never ended\n',
    }
    path = write(tmp_path, name, start + rows[name])
    assert [dialogue.dialogue_id for dialogue in islice(read_dialogues(path), 2)] == ["a", "b"]


ids = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9)
users = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
datasets = st.dictionaries(ids, users, min_size=1, max_size=5)


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, ["dialogue_id", "user"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


WRITERS: dict[str, Callable[[Any], str]] = {
    ".json": json.dumps,
    ".jsonl": lambda rows: "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
    ".yaml": yaml.safe_dump,
    ".csv": as_csv,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_what_was_written_is_read(tmp_path_factory, suffix):
    folder = tmp_path_factory.mktemp("data")

    @given(datasets)
    def comes_back(users):
        rows = [{"dialogue_id": name, "user": text} for name, text in users.items()]
        path = write(folder, f"d{suffix}", WRITERS[suffix](rows))
        assert {d.dialogue_id: d.turns[0] for d in read_dialogues(path)} == users

    comes_back()


# --- problems

PROBLEMS = {
    "empty.json": (
        "",
        ["1:1: the dataset is empty: it holds no dialogue"],
    ),
    "nothing.json": ("[]", ["1:1: the dataset is empty: it holds no dialogue"]),
    "nothing.jsonl": ("", ["1:1: the dataset is empty: it holds no dialogue"]),
    "nothing.csv": ("dialogue_id,user\n", ["1:1: the dataset is empty: it holds no dialogue"]),
    "blank.csv": ("", ["1:1: the dataset is empty: it holds no dialogue"]),
    "nothing.yaml": ("", ["1:1: the file is empty"]),
    "object.json": (
        '{"a": 1}',
        ["1:1: a JSON dataset is an array of dialogues (one object a line: .jsonl)"],
    ),
    "mapping.yaml": ("a: 1", ["1:1: a YAML dataset is a list of dialogues"]),
    "data.txt": (
        "a",
        ["1:1: unknown dataset suffix '.txt' (allowed: .json, .jsonl, .yaml, .yml, .csv)"],
    ),
    "no_suffix": (
        "a",
        ["1:1: unknown dataset suffix '' (allowed: .json, .jsonl, .yaml, .yml, .csv)"],
    ),
    "twice.jsonl": (
        '{"dialogue_id": "a", "user": "x"}\n\n{"dialogue_id": "a", "user": "y"}\n',
        ["3:1: duplicate dialogue_id 'a' (first in line 1)"],
    ),
    "comma.json": (
        '[{"dialogue_id": "a", "user": "x"}\n {"dialogue_id": "b", "user": "y"}]',
        ["2:2: not JSON: expected ',' or ']' after a dialogue"],
    ),
    "last_comma.json": (
        '[{"dialogue_id": "a", "user": "x"},\n]',
        ["2:1: not JSON: expected a dialogue after ','"],
    ),
    "large.jsonl": (
        '{"dialogue_id": "a", "user": "x", "weight": 1e999}',
        ["1:1: not JSON: 1e999 is too large a number"],
    ),
    "infinite.yaml": (
        "- {dialogue_id: a, user: x, weight: .inf}",
        ["1:3: a value has no JSON form (an infinite number, or NaN)"],
    ),
    "faults.yaml": (
        (
            "- {dialogue_id: a, user: x, user: y}\n- {dialogue_id: a, user: z}\n"
            "- {dialogue_id: c, user: !!bool maybe}\n- {dialogue_id: a, user: z}\n"
        ),
        [
            "1:29: duplicate key 'user' (first in line 1)",
            "3:26: not a YAML value: 'maybe' is no bool",
            "4:3: duplicate dialogue_id 'a' (first in line 2)",
        ],
    ),
    "near.jsonl": (
        '{"dialog_id": "a", "usr": "x"}',
        [
            "1:1: required key 'dialogue_id' is missing (did you mean it by 'dialog_id'?)",
            "1:1: required key 'user' is missing (did you mean it by 'usr'?)",
        ],
    ),
    "wrong_twice.jsonl": (
        '{"dialogue_id": "a", "user": 7}\n{"dialogue_id": "a"}',
        [
            "1:1: user must be text that is not blank, not 7",
            "2:1: required key 'user' is missing",
            "2:1: duplicate dialogue_id 'a' (first in line 1)",
        ],
    ),
    "after.json": (
        '[{"dialogue_id": "a", "user": "x"}]\n]',
        ["2:1: not JSON: text after the end of the array"],
    ),
    "broken.json": (
        '[\n{"dialogue_id": "a", "user": "x"},\n{"dialogue_id": "b", user: "y"}\n]',
        ["3:22: not JSON: Expecting property name enclosed in double quotes"],
    ),
    "keys.jsonl": (
        '{"dialogue_id": "a", "user": "x", "user": "y"}',
        ["1:1: not JSON: duplicate key 'user'"],
    ),
    "nan.jsonl": (
        '{"dialogue_id": "a", "user": "x", "weight": NaN}',
        ["1:1: not JSON: NaN is no JSON number"],
    ),
    "both.jsonl": (
        '{"dialogue_id": "a", "user": "x", "turns": ["y"]}',
        ["1:1: give either user or turns, not both"],
    ),
    "neither.jsonl": ('{"dialogue_id": "a"}', ["1:1: required key 'user' is missing"]),
    "text.jsonl": (
        '"a"',
        [
            (
                "1:1: the document must be an object with dialogue_id and user (or turns), "
                "not the text 'a'"
            )
        ],
    ),
    "kinds.jsonl": (
        '{"dialogue_id": 7, "user": ["x"]}',
        [
            "1:1: dialogue_id must be a text of 1 to 200 characters on one line, not 7",
            "1:1: user must be text that is not blank, not a list",
        ],
    ),
    "blank.jsonl": (
        (
            '{"dialogue_id": "a", "user": " "}\n{"dialogue_id": " ", "user": "x"}\n'
            '{"dialogue_id": "c", "turns": []}'
        ),
        [
            "1:1: user must be text that is not blank, not the text ' '",
            "2:1: dialogue_id must be a text of 1 to 200 characters on one line, not the text ' '",
            "3:1: turns must be a list of the user's texts, one a turn, not an empty list",
        ],
    ),
    "facts.jsonl": (
        (
            '{"dialogue_id": "a", "user": "x", "required_facts": "rain"}\n'
            '{"dialogue_id": "b", "user": "x", "required_facts": [{"any_of":["a"],"regex":"b"}]}\n'
            '{"dialogue_id": "c", "user": "x", "required_facts": [{"any_of": ["a"], "turn": 1}]}'
        ),
        [
            "1:1: required_facts must be a list of facts, not the text 'rain'",
            "2:1: a fact has exactly one of any_of, all_of, none_of, regex, not 2",
            "3:1: a fact names turn 1, but the dialogue's last turn is 0 (from 0)",
        ],
    ),
    "names.jsonl": (
        (
            '{"dialogue_id": "a", "user": "x", "cluster": "", "tags": ["t", " "]}\n'
            '{"dialogue_id": "b", "user": "x", "cluster": ["c"], "tags": "t"}\n'
            '{"dialogue_id": "c", "user": "x", "cluster": null, "tags": []}\n'
            '{"dialogue_id": "d", "user": "x", "cluster": 7, "tags": ["t"]}'
        ),
        [
            "1:1: cluster must be a name, not the text ''",
            "1:1: tags[1] must be a name, not the text ' '",
            "2:1: cluster must be a name, not a list",
            "2:1: tags must be a list of names, not the text 't'",
        ],
    ),
    "surrogate.jsonl": (
        '{"dialogue_id": "a", "user": "x \\ud800"}',
        ["1:1: text holds the lone surrogate '\\ud800', which can't be sent"],
    ),
    "cells.csv": (
        "dialogue_id,user\na,x\nb\nc,x,y\n",
        ["3:1: 1 cells for 2 columns", "4:1: 3 cells for 2 columns"],
    ),
    "columns.csv": ("user,user\na,b\n", ["1:1: two columns have one name"]),
    "list.csv": (
        'dialogue_id,user,required_facts\na,x,"[1,"\n',
        ["2:1: required_facts is no JSON list: Expecting value: line 1 column 4 (char 3)"],
    ),
    "date.yaml": (
        "- {dialogue_id: a, user: x, day: 2024-01-01}",
        ["1:3: a value has no JSON form (Object of type date is not JSON serializable)"],
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_stand_at_their_place(tmp_path, name):
    text, problems = PROBLEMS[name]
    assert tell(write(tmp_path, name, text)) == problems


def test_a_broken_regex_is_a_problem(tmp_path):
    row = {"dialogue_id": "a", "user": "x", "required_facts": [{"regex": "(rain"}]}
    [problem] = tell(write(tmp_path, "d.jsonl", json.dumps(row)))
    assert problem.startswith("1:1: ")
    assert "(rain" in problem


def test_deep_nesting_is_a_problem_of_its_line(tmp_path):
    rows = ['{"dialogue_id": "a", "user": "x"}', "[" * 100_000]
    assert [p.split(":")[0] for p in tell(write(tmp_path, "d.jsonl", "\n".join(rows)))] == ["2"]
    assert len(tell(write(tmp_path, "d.json", "[" * 100_000))) == 1


def test_the_broken_line_731_is_told(tmp_path):
    lines = [json.dumps({"dialogue_id": f"d{i}", "user": "x"}) for i in range(1, 1001)]
    lines[730] = lines[730][:-1]
    path = write(tmp_path, "d.jsonl", "\n".join(lines))
    [problem] = check_dataset(path)[0]
    assert str(problem).startswith(f"{path}:731:")
    assert problem.message.startswith("not JSON: Expecting ',' delimiter")


def test_binary_data_is_no_text(tmp_path):
    for suffix in WRITERS:
        path = tmp_path / f"d{suffix}"
        path.write_bytes(b"[\xff\xfe\x00\x80]")
        [problem] = tell(path)
        assert problem.startswith("1:2: not UTF-8 text (")


@pytest.mark.parametrize("suffix", WRITERS)
def test_text_in_another_encoding_is_told_with_its_line(tmp_path, suffix):
    rows = [{"dialogue_id": f"d{i}", "user": "x" * 50} for i in range(1000)]
    text = WRITERS[suffix](rows).replace("d731", "dé")
    path = tmp_path / f"d{suffix}"
    path.write_bytes(text.encode("latin-1"))
    [problem] = check_dataset(path)[0]
    before = text[: text.index("é")]
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert (problem.line, problem.column) == place
    assert problem.message.startswith("not UTF-8 text (")


def test_a_folder_is_no_dataset(tmp_path):
    path = tmp_path / "d.json"
    path.mkdir()
    assert tell(path) == ["1:1: can't be read: Is a directory"]


def test_many_problems_are_counted(tmp_path):
    path = write(tmp_path, "d.jsonl", "{}\n" * 1000)
    problems = tell(path)
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == f"1:1: {2000 - MAX_PROBLEMS} further problems"


def test_reading_stops_at_the_first_problem(tmp_path):
    path = write(tmp_path, "d.jsonl", '{"dialogue_id": "a", "user": "x"}\n{}\n{}\n')
    reader = read_dialogues(path)
    assert next(reader).dialogue_id == "a"
    with pytest.raises(ManifestError, match=r"d\.jsonl:2:1: required key 'dialogue_id'"):
        next(reader)


@given(st.binary(max_size=200), st.sampled_from(sorted(WRITERS)))
def test_any_bytes_are_rows_or_problems(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    problems, lines = check_dataset(path)
    assert problems or lines
    assert all(row.line >= 1 and row.column >= 1 for row in read_rows(path))
