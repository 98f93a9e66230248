"""Hostile files are read safely, or refused."""

from __future__ import annotations

import os

import pytest

from grader.artifacts import decode, is_number, parse_json, parse_lines, read_file
from grader.errors import ArtifactError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path


def read(folder):
    return read_file(folder, ("run", "file"), os.getuid())


def test_a_regular_file_is_read(folder):
    (folder / "run/file").write_bytes(b"text")
    assert read(folder) == b"text"


def make_link(path):
    path.symlink_to("/etc/hostname")


def make_hard_link(path):
    other = path.with_name("other")
    other.write_text("secret")
    path.hardlink_to(other)


def make_sparse(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def make_device_link(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, make_link, make_hard_link, make_sparse, make_device_link, lambda _: None],
)
def test_anything_else_is_refused(folder, make):
    make(folder / "run/file")
    with pytest.raises(ArtifactError):
        read(folder)


def test_a_link_on_the_way_is_refused(folder):
    (folder / "real").mkdir()
    (folder / "real/file").write_text("x")
    (folder / "run").rmdir()
    (folder / "run").symlink_to("real")
    with pytest.raises(ArtifactError):
        read(folder)


def test_a_foreign_owner_is_refused(folder):
    (folder / "run/file").write_text("x")
    with pytest.raises(ArtifactError):
        read_file(folder, ("run", "file"), os.getuid() + 1)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, '{"a": 1, "a": 1}', "NaN", "[Infinity]", "{", "1 2", ""],
    ids=["deep array", "deep object", "key twice", "NaN", "Infinity", "open", "two", "empty"],
)
def test_json_is_strict(text):
    with pytest.raises(ArtifactError):
        parse_json(text, "here")


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, True), (0.5, True), (True, False), ("1", False), (None, False), (10**400, False)],
)
def test_numbers_are_finite_and_no_booleans(value, number):
    assert is_number(value) is number


def test_what_takes_long_to_parse_is_refused():
    with pytest.raises(ArtifactError, match="values"):
        parse_lines(b'{"x": [' + b"[]," * 300_000 + b"0]}", "x")
    with pytest.raises(ArtifactError, match="digits"):
        parse_json("9" * 4_000, "x")
    assert decode(b"," * 300_000, "x")
