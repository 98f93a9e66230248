"""Each wrong program fails for the reason it was made for, each right one passes.

A sample of the corpus; all of it with the environment variable GRADER_CORPUS=all, and with
`python -m grader quality`.
"""

from __future__ import annotations

import os

import pytest

from grader.corpus import members, write_member
from grader.grade import Options, grade

SHARE = {"mutant": 30, "cheat": 19, "alternative": 6}
SEED = 11


def chosen():
    everything = os.environ.get("GRADER_CORPUS") == "all"
    found = []
    for kind, share in SHARE.items():
        found += [m for m in members() if m.kind == kind][:: 1 if everything else share]
    return found


@pytest.mark.parametrize("member", chosen(), ids=lambda member: f"{member.kind}-{member.name}")
def test_the_corpus_gets_what_it_must(member, tmp_path):
    folder = write_member(member, tmp_path / "handed_in")
    verdict = grade(folder, Options(seed=SEED, feedback="full"))
    if member.is_right:
        assert verdict.status == "pass", verdict.reason
        return
    assert (verdict.status, verdict.reward) == ("fail", 0.0), verdict.reason
    failed = {name for name, passed in verdict.checks.items() if not passed}
    assert not member.survived(failed), verdict.reason


def test_the_corpus_is_as_large_as_promised():
    kinds = [member.kind for member in members()]
    assert kinds.count("mutant") >= 60
    assert kinds.count("cheat") >= 45
    assert kinds.count("alternative") >= 10
