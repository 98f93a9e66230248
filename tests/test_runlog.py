"""Run folders: whole lines at any moment, dataset order at the end, nothing real ever lost."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.errors import RunFolderError
from pytest_experiment_profiler.runlog import LineFile, encode, pack_rank, write_whole
from tests.builders import read_lines

# --- one line


TEXTS = {
    "empty": "",
    "lines": "two\nlines\r\n\u2028\x85",
    "wide": "日本語 🌍",
    "surrogate": "lone \ud800 surrogate",
    "control": "\x00\x1b[31m",
    "quotes": '"\\"',
    "1 MB": "x" * 1_000_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_any_text_is_one_line_that_comes_back(text):
    line = encode({"completion": text})
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line) == {"completion": text}


def test_text_is_readable_in_the_file():
    assert "Zürich" in encode({"completion": "Zürich"}).decode()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Decimal("0.10"), "0.10"),
        ({1: {2}}, {"1": "{2}"}),
        ((1, b"x"), [1, "b'x'"]),
        (True, True),
        (None, None),
    ],
)
def test_what_has_no_json_form_is_kept_as_its_text(value, kept):
    line = encode({"metadata": value, "odd": object()})
    assert json.loads(line)["metadata"] == kept


@pytest.mark.parametrize("odd", [{}, {"odd": object()}], ids=["plain", "beside what has no form"])
def test_a_number_that_is_not_finite_is_nothing(odd):
    line = encode({"metadata": [float("nan"), float("-inf"), 1.0], **odd})
    assert json.loads(line)["metadata"] == [None, None, 1.0]


def test_a_value_that_holds_itself_is_no_reason_to_lose_an_answer():
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert json.loads(encode({"completion": "kept", "metadata": loop}))["completion"] == "kept"


@given(st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_every_line_is_strict_json(value):
    def refuse(name):
        raise AssertionError(name)

    json.loads(encode({"value": value}), parse_constant=refuse)


# --- a file of lines


def test_a_line_is_on_disk_at_once(tmp_path):
    file = LineFile(tmp_path / "log.jsonl")
    for number in range(3):
        file.append(pack_rank(number, 0, 0), {"n": number})
        assert read_lines(tmp_path / "log.jsonl")[-1] == {"n": number}
    file.seal()


ranks = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 2))


@given(st.lists(ranks, max_size=20))
def test_sealed_lines_stand_in_order_the_last_of_each_rank(tmp_path_factory, order):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    file = LineFile(path)
    for number, rank in enumerate(order):
        file.append(pack_rank(*rank), {"rank": list(rank), "number": number})
    file.seal()
    lines = read_lines(path)
    found = [tuple(line["rank"]) for line in lines]
    assert all(a < b for a, b in pairwise(found))
    assert set(found) == set(order)
    latest = {rank: number for number, rank in enumerate(order)}
    assert [line["number"] for line in lines] == [latest[rank] for rank in found]
    assert [entry.name for entry in path.parent.iterdir()] == ["log.jsonl"]


def test_a_torn_last_line_is_cut_before_the_next_one(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 0}\n{"n": 1, "torn')
    file = LineFile(path)
    file.append(pack_rank(0, 0, 0), {"n": 2})
    assert read_lines(path) == [{"n": 0}, {"n": 2}]
    file.seal()


def test_a_torn_line_longer_than_any_buffer_is_cut(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 0}\n' + b"x" * 200_000)
    LineFile(path).seal()
    assert path.read_bytes() in {b'{"n": 0}\n', b""}


FULL_DISK = """
import resource, sys
from pathlib import Path
from pytest_experiment_profiler.runlog import LineFile, pack_rank
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
file = LineFile(Path(sys.argv[1]))
kept = 0
try:
    for number in range(1000):
        file.append(pack_rank(number, 0, 0), {"text": "x" * 7_000})
        kept += 1
except OSError as error:
    print(kept, type(error).__name__)
file.append(pack_rank(-1, 0, 0), {"text": "short"})
file.seal()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_whole_lines_only(tmp_path):
    path = tmp_path / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "14 OSError\n"
    assert [len(line["text"]) for line in read_lines(path)] == [5, *[7000] * 14]


# --- a whole file


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "summary.json"
    for content in (b"first", b"second"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_stays(tmp_path):
    path = tmp_path / "summary.json"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"summary\.json can't be written: "):
        write_whole(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
