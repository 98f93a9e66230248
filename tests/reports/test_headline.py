"""How a run ended, in one sentence."""

from __future__ import annotations

import pytest

from pytest_experiment_profiler.reports.headline import judge_run
from tests.builders import make_read_transcript as make
from tests.builders import sum_up


def judge(*, limits=None, broken=0, unjudged=(), repeats=1, counts=None, **changes):
    """Judge a run of two dialogues; `limits` are the manifest's gates."""
    summary = sum_up(make(1, 1), make(1, 1)) | changes
    summary["counts"] |= counts or {}
    experiment = {"repeats": repeats, "gates": limits or {}}
    return judge_run({"experiment": experiment}, summary, broken=broken, unjudged=unjudged)


def gate(outcome, *, holds):
    return {"gate": "x.min", "outcome": outcome, "holds": holds, "sentence": ""}


HELD, FALLEN = gate("passed", holds=True), gate("failed", holds=False)
OPEN = gate("inconclusive", holds=True)
ONE = {"fact_coverage": {"min": 0.5}}


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({}, "measured", "Measured: 2 dialogues; no gate is set that could fail."),
        ({"gates": [HELD]}, "passed", "Passed: every gate holds over 2 dialogues."),
        ({"limits": {"dialogue": ONE}}, "passed", "Passed: every gate holds over 2 dialogues."),
        ({"gates": [FALLEN, HELD]}, "failed", "Failed: 1 of 2 gates does not hold."),
        ({"gates": [FALLEN, FALLEN]}, "failed", "Failed: 2 of 2 gates do not hold."),
        ({"broken": 1}, "failed", "Failed: 1 dialogue breaks a gate."),
        ({"counts": {"errors": 1}}, "failed", "Failed: 1 of 2 dialogues ended in an error."),
        (
            {"counts": {"errors": 3}, "repeats": 2, "gates": [FALLEN], "broken": 2},
            "failed",
            (
                "Failed: 1 of 1 gate does not hold, 2 dialogues break a gate "
                "and 3 of 4 dialogues ended in an error."
            ),
        ),
        (
            {"metric_errors": {"x": "why"}, "gates": [HELD]},
            "passed",
            "Passed: every gate holds over 2 dialogues. 1 metric could not be computed.",
        ),
        (
            {"gates": [OPEN, HELD]},
            "passed",
            "Passed: every gate holds over 2 dialogues. 1 gate is inconclusive, not failed.",
        ),
        (
            {"status": "partial", "counts": {"selected": 1}},
            "partial",
            "Partial: this is no whole run. Only 1 of 2 dialogues selected.",
        ),
        (
            {"status": "partial", "gates": [HELD], "counts": {"not_run": 1}},
            "partial",
            "Partial: this is no whole run. 1 dialogue not run.",
        ),
    ],
)
def test_verdicts(changes, kind, sentence):
    assert judge(**changes) == (kind, sentence)


def test_the_verdict_says_what_became_worse_first():
    found = {"a": "too small to tell", "b": "better", "c": "worse", "d": "worse"}
    contrasts = {name: {"verdict": verdict} for name, verdict in found.items()}
    verdict = judge(comparison=contrasts | {"baseline": "old", "pairs": 2, "notes": []})
    assert verdict.sentence.endswith(
        "Against the baseline: worse in c and d; better in b; too small to tell in a."
    )


def test_no_gate_is_called_held_that_the_scores_do_not_tell():
    gates = {"dialogue": {"empty_rate": {"max": 0}}}
    assert judge(limits=gates, unjudged=["empty_rate"]) == (
        "measured",
        "Measured: 2 dialogues; each one's empty_rate is judged in a run only.",
    )
