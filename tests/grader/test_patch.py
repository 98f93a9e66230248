"""Mutants are patches that fit exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.corpus import Member, members, mutant_header
from grader.errors import GraderError
from grader.patch import apply_patch

PATCH = """base: x
why: y

--- a/f.txt
+++ b/f.txt
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
"""


def test_a_patch_changes_what_it_names(tmp_path):
    (tmp_path / "f.txt").write_text("zero\none\ntwo\nthree\n")
    apply_patch(PATCH, tmp_path)
    assert (tmp_path / "f.txt").read_text() == "zero\none\nTWO\nthree\n"


def test_a_new_file_and_a_removed_one(tmp_path):
    (tmp_path / "old").write_text("gone\n")
    apply_patch(
        "--- /dev/null\n+++ b/new/file\n@@ -0,0 +1,2 @@\n+one\n+two\n"
        "--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n",
        tmp_path,
    )
    assert (tmp_path / "new/file").read_text() == "one\ntwo\n"
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize("text", ["one\ntoo\nthree\n", ""])
def test_a_patch_that_does_not_fit_is_an_error(tmp_path, text):
    (tmp_path / "f.txt").write_text(text)
    with pytest.raises(GraderError):
        apply_patch(PATCH, tmp_path)


def test_the_header_is_read():
    assert mutant_header(PATCH) == {"base": "x", "why": "y"}


def test_every_mutant_says_what_it_breaks_and_what_kills_it():
    for member in members():
        if member.kind == "mutant":
            said = (member.base, member.why, member.breaks, member.kills)
            assert all(said), member.name


def test_of_several_checks_one_may_fail_a_mutant():
    member = Member(name="m", kind="mutant", source=Path(), kills=("a.run|b.run", "c.run"))
    assert member.survived({"b.run"}) == ["c.run"]
    assert member.survived({"a.run", "c.run"}) == []
