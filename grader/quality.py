"""Measure the grader with the corpus: what it lets through, what it rejects, how long it takes."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from grader.checks import CHECK_IDS
from grader.corpus import Member, members, write_member
from grader.grade import Options, grade
from grader.places import cores
from grader.verdict import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.verdict import Verdict

RULE_OF_THREE = 3.0
FEW = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much is graded: seeds of each kind, repeats of one seed, grades timed one by one.

    Of the mutants and cheats only one in `every`.
    """

    wrong_seeds: Sequence[int]
    right_seeds: Sequence[int]
    repeats: int
    timed: int
    every: int = 1


FULL = Scale(wrong_seeds=range(1, 4), right_seeds=range(1, 6), repeats=20, timed=20)
QUICK = Scale(wrong_seeds=(1,), right_seeds=(1,), repeats=3, timed=5, every=4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """One grade of a member, without its timings."""

    member: Member
    seed: int
    status: str
    reward: float | None
    failed: tuple[str, ...]
    reason: str
    text: str
    seconds: float
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A grade that is not as it must be."""

    what: str
    member: str
    seed: int
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What the measurement found."""

    scale: Scale
    grades: Sequence[Grade]
    repeats: Sequence[Grade]
    timed: Sequence[float]
    seconds: float
    workers: int


def measure(scale: Scale, workers: int) -> Report:
    """Grade the corpus."""
    began = time.monotonic()
    corpus = [
        item
        for number, item in enumerate(members())
        if number % scale.every == 0 or item.kind not in {"mutant", "cheat"}
    ]
    with tempfile.TemporaryDirectory(prefix="x") as folder:
        places = {
            item: write_member(item, Path(folder) / f"{item.kind}-{item.name}") for item in corpus
        }
        jobs = [(item, places[item], seed) for item in corpus for seed in _seeds(item, scale)]
        reference = next(item for item in corpus if item.kind == "reference")
        again = [(reference, places[reference], 1)] * scale.repeats
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
            grades = list(pool.map(_grade, *zip(*jobs, strict=True)))
            repeats = list(pool.map(_grade, *zip(*again, strict=True)))
        timed = [_grade(reference, places[reference], seed).seconds for seed in range(scale.timed)]
    return Report(
        scale=scale,
        grades=grades,
        repeats=repeats,
        timed=timed,
        seconds=time.monotonic() - began,
        workers=workers,
    )


def _seeds(member: Member, scale: Scale) -> Sequence[int]:
    return scale.right_seeds if member.is_right else scale.wrong_seeds


def _grade(member: Member, place: Path, seed: int) -> Grade:
    marks = [Path(mark.removeprefix("file:")) for mark in member.damage]
    for mark in marks:
        mark.unlink(missing_ok=True)
    verdict = grade(place, Options(seed=seed, feedback="full"))
    return Grade(
        member=member,
        seed=seed,
        status=verdict.status,
        reward=verdict.reward,
        failed=tuple(name for name, value in verdict.checks.items() if not value),
        reason=verdict.reason,
        text=_without_timings(verdict),
        seconds=verdict.timings["total"],
        damage=tuple(str(mark) for mark in marks if os.path.lexists(mark)),
    )


def _without_timings(verdict: Verdict) -> str:
    return "\n".join(
        f"{name}={getattr(verdict, name)!r}" for name in verdict.__slots__ if name != "timings"
    )


def findings(report: Report) -> list[Finding]:
    """List every grade that is not as it must be."""
    found = []
    for item in report.grades:
        member = item.member
        wanted = "pass" if member.is_right else "fail"
        if item.status != wanted:
            found.append(
                Finding(
                    what=f"{member.kind} got {item.status}",
                    member=member.name,
                    seed=item.seed,
                    detail=item.reason[:300],
                )
            )
        if item.damage:
            found.append(
                Finding(
                    what="damage was done",
                    member=member.name,
                    seed=item.seed,
                    detail=" ".join(item.damage),
                )
            )
        missed = member.survived(item.failed)
        if member.kind == "mutant" and missed:
            found.append(
                Finding(
                    what="mutant lives through a check",
                    member=member.name,
                    seed=item.seed,
                    detail=" ".join(sorted(missed)),
                )
            )
    return found


def killing_groups(grades: Iterable[Grade]) -> dict[str, set[str]]:
    """Give the groups that kill each mutant on every seed."""
    found: dict[str, set[str]] = {}
    for item in grades:
        if item.member.kind == "mutant":
            groups = {name.partition(".")[0] for name in reached(item)}
            found[item.member.name] = found.get(item.member.name, groups) & groups
    return found


def killing_checks(grades: Iterable[Grade]) -> dict[str, set[str]]:
    """Give the checks that kill each mutant on every seed."""
    found: dict[str, set[str]] = {}
    for item in grades:
        if item.member.kind == "mutant":
            checks = set(reached(item))
            found[item.member.name] = found.get(item.member.name, checks) & checks
    return found


def reached(item: Grade) -> list[str]:
    """List the checks that failed by themselves, not because another one had failed."""
    parts = (part.partition(": ") for part in item.reason.split("; "))
    return [name for name, _, problem in parts if problem != "not reached" and name in item.failed]


def table(report: Report) -> str:
    """Write the measurement as Markdown."""
    by_kind: dict[str, list[Grade]] = defaultdict(list)
    for item in report.grades:
        by_kind[item.member.kind].append(item)
    lines = ["| metric | result | bound (95 %) |", "| --- | --- | --- |"]
    lines += [_count_line("wrong programs accepted", by_kind["mutant"], {"pass"})]
    lines += [_count_line("cheats accepted", by_kind["cheat"], {"pass"})]
    right = by_kind["alternative"]
    damaging = {item.member.name for item in report.grades if item.damage}
    lines += [f"| cheats that did damage | {len(damaging)} | |"]
    lines += [_count_line("right programs rejected", right, {"fail", "error"})]
    lines += [_count_line("no verdict (any kind)", list(report.grades), {"error"})]
    for kind, title in (("starter", "untouched starter"), ("reference", "reference")):
        rewards = sorted({str(item.reward) for item in by_kind[kind]})
        lines += [f"| reward of the {title} | {', '.join(rewards)} | |"]
    credit = max((len(CHECK_IDS) - len(item.failed) for item in by_kind["starter"]), default=0)
    lines += [f"| checks that the starter passes | {credit} | |"]
    differing = len({item.text for item in report.repeats}) - 1
    lines += [f"| differing verdicts in {len(report.repeats)} repeats | {differing} | |"]
    lines += [f"| members whose status changes with the seed | {_unstable(report.grades)} | |"]
    single = killing_checks(report.grades)
    lines += [
        f"| mutants killed by one check only | {sum(len(v) < FEW for v in single.values())} | |"
    ]
    few = [name for name, groups in killing_groups(report.grades).items() if len(groups) < FEW]
    lines += [f"| mutants killed by one group of checks only | {len(few)} | |"]
    lines += _timing_lines(report)
    return "\n".join(lines)


def _count_line(title: str, grades: Sequence[Grade], bad: set[str]) -> str:
    programs = {item.member.name for item in grades}
    wrong = {item.member.name for item in grades if item.status in bad}
    bound = f"{min(1.0, RULE_OF_THREE / len(programs)):.1%}" if programs and not wrong else ""
    return f"| {title} | {len(wrong)} of {len(programs)} ({len(grades)} grades) | {bound} |"


def _unstable(grades: Iterable[Grade]) -> int:
    statuses: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in grades:
        statuses[item.member.kind, item.member.name].add(item.status)
    return sum(len(found) > 1 for found in statuses.values())


def _timing_lines(report: Report) -> list[str]:
    timed = sorted(report.timed)
    high = timed[min(len(timed) - 1, round(0.95 * (len(timed) - 1)))]
    number = len(report.grades) + len(report.repeats)
    pace = 60 * number / max(report.seconds - sum(timed), 1e-9)
    middle = statistics.median(timed)
    return [
        f"| seconds a grade, median / p95 of {len(timed)} | {middle:.2f} / {high:.2f} | |",
        f"| grades a minute, {report.workers} workers, {cores()} cores | {pace:.0f} | |",
    ]


def kill_matrix(report: Report) -> str:
    """Write which group of checks kills which mutant, on every seed."""
    lines = ["| mutant | " + " | ".join(GROUPS) + " |", "| --- |" + " --- |" * len(GROUPS)]
    for name, groups in sorted(killing_groups(report.grades).items()):
        cells = ["x" if group in groups else "" for group in GROUPS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def idle_checks(report: Report) -> list[str]:
    """List the checks that no member of the corpus fails by itself: nothing exercises them."""
    failing = {name for item in report.grades for name in reached(item)}
    return sorted(set(CHECK_IDS) - failing)
