"""Gates on values, on bounds, on differences, on errors and cost, and on single dialogues."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler.contrasts import Contrast
from pytest_experiment_profiler.experiment import Interval
from pytest_experiment_profiler.gates import GateResult, gate_record, judge_dialogue, judge_run
from pytest_experiment_profiler.statistics import Absent

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS = {
    "fact_coverage": 8 / 9,
    "geometric_mean": 0.7698,
    "refusal_rate": 1 / 3,
    "empty_rate": None,
    "error_rate": 0.0,
}
INTERVALS: dict[str, Interval | Absent | None] = {
    "fact_coverage": Interval(low=0.5437, high=0.9817, level=0.95, n=3, method="wilson_n_eff"),
    "refusal_rate": Interval(low=0.0615, high=0.7923, level=0.95, n=3, method="wilson"),
    "geometric_mean": Absent("one value alone shows no spread"),
}
WORSE = Contrast(
    metric="fact_coverage",
    kind="proportion",
    lower_is_better=False,
    pairs=12,
    baseline=0.8889,
    candidate=0.6667,
    difference=-0.2222,
    low=-0.3871,
    high=-0.0573,
    mde=0.2099,
    method="t",
    reason=None,
    p=0.0352,
    p_adjusted=0.0352,
    verdict="worse",
    gained=(),
    lost=("d1",),
)
UNSURE = replace(WORSE, verdict="too small to tell", p_adjusted=0.0703)


def judge(gates: dict[str, Any], **changes: Any) -> list[GateResult]:
    """Judge by the sample's numbers; the gate on errors, which always comes, is left out."""
    values: dict[str, Any] = {
        "metrics": METRICS,
        "intervals": INTERVALS,
        "contrasts": None,
        "cost_usd": 0.25,
    }
    results = judge_run(gates, **values | changes)
    return [result for result in results if result.gate != "max_error_rate"]


def regression(contrast: Contrast | None, margin: float = 0.05, **gates: Any) -> GateResult:
    contrasts: Mapping[str, Contrast] = {} if contrast is None else {"fact_coverage": contrast}
    limits = {"fact_coverage": {"no_regression": {"margin": margin}}}
    (result,) = judge(limits | gates, contrasts=contrasts)
    return result


class TestValues:
    @pytest.mark.parametrize(
        ("limits", "outcome", "sentence"),
        [
            ({"min": 0.8}, "passed", "fact_coverage 0.8889 reaches its minimum of 0.8"),
            ({"min": 0.9}, "failed", "fact_coverage 0.8889 is below its minimum of 0.9"),
            ({"max": 0.9}, "passed", "fact_coverage 0.8889 stays within its maximum of 0.9"),
            ({"max": 0.5}, "failed", "fact_coverage 0.8889 is above its maximum of 0.5"),
            (
                {"min_lower_bound": 0.6},
                "failed",
                "lower bound of fact_coverage 0.5437 is below its minimum of 0.6",
            ),
            (
                {"max_upper_bound": 0.99},
                "passed",
                "upper bound of fact_coverage 0.9817 stays within its maximum of 0.99",
            ),
        ],
    )
    def test_one_limit(self, limits, outcome, sentence):
        (result,) = judge({"fact_coverage": limits})

        assert (result.outcome, result.sentence) == (outcome, sentence)
        assert result.holds == (outcome == "passed")
        assert result.gate == f"fact_coverage.{next(iter(limits))}"

    def test_limits_are_met_by_the_unrounded_value(self):
        (result,) = judge({"fact_coverage": {"min": 0.8}}, metrics={"fact_coverage": 0.79999})

        assert result.outcome == "failed"
        assert result.sentence == "fact_coverage 0.79999 is below its minimum of 0.8"

    def test_a_limit_that_is_just_met(self):
        (result,) = judge({"fact_coverage": {"min": 0.8}}, metrics={"fact_coverage": 0.8})

        assert result.sentence == "fact_coverage 0.8000 reaches its minimum of 0.8"

    def test_null_fails_and_says_why(self):
        null = dict.fromkeys(METRICS)
        results = judge(
            {
                "fact_coverage": {"min": 0, "no_regression": {"margin": 1}},
                "empty_rate": {"max": 1},
            },
            metrics=null,
            contrasts={"fact_coverage": WORSE},
        )

        assert [result.sentence for result in results] == [
            (
                "fact_coverage has no value (no complete dialogue expects facts); "
                "its minimum of 0 fails"
            ),
            "fact_coverage has no value (no complete dialogue expects facts)",
            "empty_rate has no value (no dialogue gave one); its maximum of 1 fails",
        ]
        assert not any(result.holds for result in results)

    def test_null_of_an_own_metric_says_what_is_known(self):
        (failed,) = judge(
            {"words": {"min": 1}},
            metrics={"words": None},
            intervals={"words": Absent("the metric failed")},
        )
        (alone,) = judge_dialogue({"dialogue": {"words": {"min": 1}}}, {"words": None})

        assert failed.sentence == ("words has no value (the metric failed); its minimum of 1 fails")
        assert alone.sentence == (
            "words has no value (the dialogue gives none); its minimum of 1 fails"
        )

    def test_a_missing_interval_fails_and_says_why(self):
        results = judge(
            {"geometric_mean": {"min_lower_bound": 0.1}, "empty_rate": {"max_upper_bound": 1}}
        )

        assert [result.sentence for result in results] == [
            (
                "lower bound of geometric_mean has no value (one value alone shows no spread); "
                "its minimum of 0.1 fails"
            ),
            "upper bound of empty_rate has no value (there is no interval); its maximum of 1 fails",
        ]

    def test_an_unknown_metric_fails(self):
        results = judge({"fact_coverag": {"min": 0.1}, "zzz": {"no_regression": {"margin": 1}}})

        assert [result.sentence for result in results] == [
            "there is no metric fact_coverag (did you mean 'fact_coverage'?)",
            "there is no metric zzz",
        ]
        assert not any(result.holds for result in results)

    def test_record(self):
        (result,) = judge({"fact_coverage": {"min": 0.8}})

        assert json.loads(json.dumps(gate_record(result))) == {
            "gate": "fact_coverage.min",
            "outcome": "passed",
            "holds": True,
            "value": 8 / 9,
            "limit": 0.8,
            "sentence": "fact_coverage 0.8889 reaches its minimum of 0.8",
        }


class TestRegressions:
    def test_worse_beyond_the_margin_fails(self):
        result = regression(WORSE)

        assert (result.outcome, result.value, result.limit) == ("failed", -0.3871, 0.05)
        assert result.sentence == (
            "fact_coverage changed by -0.2222 (at worst -0.3871), margin 0.05: worse"
        )

    def test_worse_within_the_margin_passes(self):
        result = regression(WORSE, margin=0.4)

        assert result.outcome == "passed"
        assert result.sentence == (
            "fact_coverage changed by -0.2222 (at worst -0.3871), within its margin of 0.4"
        )

    @pytest.mark.parametrize(
        ("gates", "holds"),
        [({}, True), ({"inconclusive": "warn"}, True), ({"inconclusive": "fail"}, False)],
    )
    def test_what_can_t_be_told_is_inconclusive(self, gates, holds):
        result = regression(UNSURE, **gates)

        assert (result.outcome, result.holds) == ("inconclusive", holds)
        assert result.sentence == (
            "fact_coverage changed by -0.2222 (at worst -0.3871), margin 0.05: "
            "too small to tell (this run can detect 21.0 points or more)"
        )

    def test_only_open_questions_hold(self):
        results = judge(
            {"fact_coverage": {"min": 0.99, "no_regression": {"margin": 0.1}}}, contrasts=None
        )

        assert [(result.outcome, result.holds) for result in results] == [
            ("failed", False),
            ("inconclusive", True),
        ]

    def test_the_upper_end_counts_where_lower_is_better(self):
        rise = replace(WORSE, lower_is_better=True, difference=0.01, low=-0.02, high=0.04)

        assert regression(rise).outcome == "passed"
        assert regression(rise, margin=0.03).outcome == "failed"

    def test_no_baseline_is_inconclusive(self):
        (result,) = judge({"fact_coverage": {"no_regression": {"margin": 0.1}}}, contrasts=None)

        assert result.outcome == "inconclusive"
        assert result.sentence == "fact_coverage has no baseline to be compared with"

    @pytest.mark.parametrize("contrast", [None, replace(WORSE, difference=None)])
    def test_a_metric_that_was_not_compared_is_inconclusive(self, contrast):
        result = regression(contrast)

        assert result.outcome == "inconclusive"
        assert result.sentence == "fact_coverage has nothing in the baseline to be compared with"

    def test_without_an_interval_the_verdict_decides(self):
        bare = replace(WORSE, low=None, high=None, mde=None, reason="the mean is 0")

        assert regression(bare).outcome == "failed"
        assert regression(replace(bare, verdict="too small to tell")).sentence == (
            "fact_coverage changed by -0.2222 (no interval, the mean is 0), margin 0.05: "
            "too small to tell"
        )


class TestErrorsAndCost:
    def test_without_gates_nothing_is_judged(self):
        assert judge_run({}, metrics={}, intervals={}, contrasts=None, cost_usd=None) == ()

    @pytest.mark.parametrize(
        ("gates", "rate", "outcome"),
        [
            ({"fact_coverage": {"min": 0}}, 0.0, "passed"),
            ({"fact_coverage": {"min": 0}}, 0.01, "failed"),
            ({"max_error_rate": 0.05}, 0.05, "passed"),
            ({"max_error_rate": 0.05}, 0.06, "failed"),
            ({"dialogue": {"fact_coverage": {"min": 0}}}, 0.01, "failed"),
            ({"max_error_rate": 1}, None, "failed"),
        ],
    )
    def test_errors_are_allowed_by_name_only(self, gates, rate, outcome):
        results = judge_run(
            gates,
            metrics={"fact_coverage": 1.0, "error_rate": rate},
            intervals={},
            contrasts=None,
            cost_usd=None,
        )

        assert results[-1].gate == "max_error_rate"
        assert results[-1].outcome == outcome

    def test_a_run_without_attempts_says_so(self):
        (result,) = judge_run(
            {"max_error_rate": 1}, metrics={}, intervals={}, contrasts=None, cost_usd=None
        )

        assert result.sentence == (
            "error_rate has no value (nothing was attempted); its maximum of 1 fails"
        )

    @pytest.mark.parametrize(
        ("cost", "sentence"),
        [
            (0.25, "cost_usd 0.2500 stays within its maximum of 0.5"),
            (0.75, "cost_usd 0.7500 is above its maximum of 0.5"),
            (
                None,
                "cost_usd has no value (the price of a model is unknown); its maximum of 0.5 fails",
            ),
        ],
    )
    def test_cost(self, cost, sentence):
        (result,) = judge({"max_cost_usd": 0.5}, cost_usd=cost)

        assert result.sentence == sentence


class TestDialogues:
    GATES: Mapping[str, Any] = {"dialogue": {"fact_coverage": {"min": 0.5}}, "max_error_rate": 0}

    def test_a_value_below_its_minimum(self):
        (result,) = judge_dialogue(self.GATES, {"fact_coverage": 1 / 3})

        assert not result.holds
        assert result.sentence == "fact_coverage 0.3333 is below its minimum of 0.5"

    def test_a_value_above_it(self):
        (result,) = judge_dialogue(self.GATES, {"fact_coverage": 2 / 3})

        assert result.holds

    def test_null_fails(self):
        (result,) = judge_dialogue(self.GATES, {"fact_coverage": None})

        assert result.sentence == (
            "fact_coverage has no value (the dialogue expects no facts or is not complete); "
            "its minimum of 0.5 fails"
        )

    def test_without_such_gates_nothing_is_judged(self):
        assert judge_dialogue({"fact_coverage": {"min": 1}}, {"fact_coverage": 0.0}) == ()
