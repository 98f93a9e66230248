"""The report counts what the grades say."""

from __future__ import annotations

from pathlib import Path

from grader.corpus import Member
from grader.quality import QUICK, Grade, Report, findings, kill_matrix, table


def member(name, kind, **more):
    return Member(name=name, kind=kind, source=Path(), **more)


def graded(item, status, failed=(), **more):
    reason = "; ".join(f"{name}: wrong" for name in failed)
    reward = {"pass": 1.0, "fail": 0.0, "error": None}[status]
    parts = {"seed": 1, "text": status, "seconds": 1.0, **more}
    return Grade(
        member=item, status=status, reward=reward, failed=tuple(failed), reason=reason, **parts
    )


GOOD = graded(member("reference", "reference"), "pass")
DEAD = graded(member("dead", "mutant", kills=("fresh.run",)), "fail", ["fresh.run", "live.run"])


def report(*grades):
    return Report(
        scale=QUICK,
        grades=[GOOD, DEAD, *grades],
        repeats=[GOOD] * 3,
        timed=[1.0],
        seconds=9.0,
        workers=2,
    )


def test_a_clean_corpus_has_no_findings():
    assert findings(report()) == []
    assert "| wrong programs accepted | 0 of 1 (1 grades) | 100.0% |" in table(report())
    assert "| dead | " in kill_matrix(report())


def test_each_kind_of_mistake_is_found():
    wrong = [
        graded(member("survivor", "mutant"), "pass"),
        graded(member("cheat", "cheat"), "pass", damage=("mark",)),
        graded(member("honest", "alternative"), "fail"),
        graded(member("missed", "mutant", kills=("live.run",)), "fail", ["fresh.run"]),
    ]
    found = [(finding.member, finding.what) for finding in findings(report(*wrong))]
    assert found == [
        ("survivor", "mutant got pass"),
        ("cheat", "cheat got pass"),
        ("cheat", "damage was done"),
        ("honest", "alternative got fail"),
        ("missed", "mutant lives through a check"),
    ]
