"""Run folders written by hand, compared: metrics.md's examples, pairing, refusals to compare."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler.comparison import (
    compare_runs,
    comparison_record,
    parse_comparison,
)
from pytest_experiment_profiler.contrasts import BUILT_IN
from pytest_experiment_profiler.errors import RunFolderError, UsageError
from pytest_experiment_profiler.experiment import Fact, Transcript
from pytest_experiment_profiler.metrics.own import Own
from pytest_experiment_profiler.metrics.scores import score_record
from pytest_experiment_profiler.records import dialogue_record
from tests.builders import make_read_transcript

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FOUND_BEFORE = (3, 3, 3, 2, 3, 3, 2, 3, 3, 1, 3, 3)
FOUND_AFTER = (2, 2, 3, 1, 2, 3, 1, 2, 3, 2, 2, 1)
REFUSED_AFTER = "nnnfnnnnnnnf"
ON_COVERAGE = {"fact_coverage": {"no_regression": {"margin": 0.05}}}


def write_run(
    folder: Path,
    transcripts: Sequence[Transcript],
    own: Mapping[str, Sequence[Any]] | None = None,
    version: str | None = None,
    **settings: Any,
) -> Path:
    experiment = {
        "metrics": ["fact_coverage", "geometric_mean", "refusal_rate"],
        "fact_mode": "lenient",
        "detector": "text",
        "refusal_patterns": [],
        "gates": {},
    }
    run = {
        "experiment": experiment | settings,
        "provenance": {"definitions_version": version} if version else {},
    }
    dialogues = {t.dialogue.dialogue_id: dialogue_record(t.dialogue) for t in transcripts}
    values = [
        {name: column[place] for name, column in (own or {}).items()}
        for place in range(len(transcripts))
    ]
    scores = [score_record(t, Own(values=v)) for t, v in zip(transcripts, values, strict=True)]
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run))
    for name, records in (("dialogues", dialogues.values()), ("scores", scores)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return folder


def transcripts_of(found: Sequence[int], labels: Sequence[str]) -> list[Transcript]:
    return [
        make_read_transcript(k, 3, letters, name=f"d{i}")
        for i, (k, letters) in enumerate(zip(found, labels, strict=True), start=1)
    ]


@pytest.fixture
def before(tmp_path):
    return write_run(tmp_path / "before", transcripts_of(FOUND_BEFORE, "n" * 12))


@pytest.fixture
def after(tmp_path):
    return write_run(tmp_path / "after", transcripts_of(FOUND_AFTER, REFUSED_AFTER))


def near(*values: float) -> object:
    return pytest.approx(values, abs=5.01e-5)


class TestPrintedExample:
    def test_coverage(self, before, after):
        found = compare_runs(before, after, gates=ON_COVERAGE).metrics["fact_coverage"]

        assert (found.baseline, found.candidate, found.difference) == near(0.8889, 0.6667, -0.2222)
        assert (found.low, found.high, found.mde) == near(-0.3871, -0.0573, 0.2099)
        assert (found.p, found.p_adjusted, found.verdict) == (18 / 512, 18 / 512, "worse")
        assert found.gained == ("d10",)
        assert found.lost == ("d1", "d2", "d4", "d5", "d7", "d8", "d11", "d12")

    def test_refusals(self, before, after):
        found = compare_runs(before, after, gates=ON_COVERAGE).metrics["refusal_rate"]

        assert (found.baseline, found.candidate) == near(0, 1 / 6)
        assert (found.low, found.high, found.mde, found.p) == near(-0.1270, 0.4127, 0.3857, 0.5)
        assert (found.verdict, found.gained, found.lost) == ("too small to tell", (), ("d4", "d12"))

    def test_geometric_mean(self, before, after):
        found = compare_runs(before, after).metrics["geometric_mean"]

        assert (found.baseline, found.candidate, found.difference) == near(0.9428, 0.7454, -0.1975)
        assert (found.low, found.high, found.p) == near(-0.3727, -0.0223, 128 / 4096)

    def test_two_gates_share_the_risk(self, before, after):
        gates = ON_COVERAGE | {"refusal_rate": {"no_regression": {"margin": 0.05}}}
        found = compare_runs(before, after, gates=gates).metrics

        assert (found["fact_coverage"].p_adjusted, found["refusal_rate"].p_adjusted) == near(
            0.0703, 0.5
        )
        assert {found[name].verdict for name in gates} == {"too small to tell"}

    def test_sentences(self, before, after):
        found = compare_runs(before, after).metrics

        assert found["fact_coverage"].sentence == (
            "fact_coverage: 0.8889 -> 0.6667 (-0.2222, 95 % interval -0.3871 to -0.0573; "
            "p 0.0352; n = 12): worse"
        )
        assert found["refusal_rate"].words == (
            "too small to tell (this run can detect 38.6 points or more)"
        )

    def test_adjusted_p_values_are_shown_beside_the_raw_ones(self, before, after):
        gates = {name: {"max": 1} for name in ("fact_coverage", "refusal_rate")}
        found = compare_runs(before, after, gates=gates).metrics

        assert "p 0.0352, adjusted 0.0703" in found["fact_coverage"].sentence

    def test_a_small_p_value_is_not_shown_as_none(self, tmp_path):
        runs = [
            write_run(tmp_path / "a", transcripts_of([0] * 20, "n" * 20)),
            write_run(tmp_path / "b", transcripts_of([3] * 20, "n" * 20)),
        ]
        found = compare_runs(*runs, gates=ON_COVERAGE | {"refusal_rate": {"max": 1}}).metrics

        assert found["fact_coverage"].p == 2 / 2**20
        assert "p < 0.0001, adjusted < 0.0001; n = 20" in found["fact_coverage"].sentence

    def test_gates_of_the_candidate_are_the_default(self, before, tmp_path):
        after = write_run(
            tmp_path / "gated",
            transcripts_of(FOUND_AFTER, REFUSED_AFTER),
            gates={"fact_coverage": {"max": 0.9}},
        )
        found = compare_runs(before, after).metrics["fact_coverage"]

        assert found.lower_is_better
        assert (found.verdict, found.lost) == ("better", ("d10",))

    def test_a_run_against_itself(self, before):
        comparison = compare_runs(before, before)

        assert comparison.pairs == 12
        assert {found.p for found in comparison.metrics.values()} == {1.0}
        assert {found.verdict for found in comparison.metrics.values()} == {"too small to tell"}

    def test_order_of_lines_never_matters(self, before, after, tmp_path):
        shuffled = write_run(
            tmp_path / "shuffled", transcripts_of(FOUND_AFTER, REFUSED_AFTER)[::-1]
        )
        one, other = (compare_runs(before, run).metrics for run in (after, shuffled))

        for name, found in one.items():
            assert other[name].p == found.p
            assert (other[name].low, other[name].high) == pytest.approx((found.low, found.high))
            assert set(other[name].lost) == set(found.lost)

    def test_record(self, before, after):
        record = comparison_record(compare_runs(before, after))
        expected = {"difference", "low", "high", "p", "p_adjusted", "mde", "verdict"}

        assert json.loads(json.dumps(record)) is not None
        assert (record["pairs"], record["baseline"], record["notes"]) == (12, str(before), [])
        assert expected | {"gained", "lost"} <= record["fact_coverage"].keys()


class TestPairs:
    def test_incomplete_dialogues_make_no_pair(self, before, tmp_path):
        transcripts = transcripts_of(FOUND_AFTER, ["e", *REFUSED_AFTER[1:]])
        comparison = compare_runs(before, write_run(tmp_path / "after", transcripts))

        assert comparison.left_out.incomplete == ("d1",)
        assert comparison.pairs == 11
        assert comparison.metrics["fact_coverage"].pairs == 11

    def test_dialogues_that_were_never_held_make_no_pair(self, before, tmp_path):
        after = write_run(tmp_path / "after", transcripts_of(FOUND_AFTER, REFUSED_AFTER))
        lines = (after / "scores.jsonl").read_text().splitlines(keepends=True)
        (after / "scores.jsonl").write_text("".join(lines[2:]))

        assert compare_runs(before, after).left_out.incomplete == ("d1", "d2")

    def test_dialogues_without_facts_count_for_refusals_only(self, tmp_path):
        runs = [
            write_run(
                tmp_path / name,
                [
                    make_read_transcript(found, 2, "n", name="facts"),
                    make_read_transcript(0, 0, label, name="none"),
                ],
            )
            for name, found, label in (("before", 2, "n"), ("after", 1, "f"))
        ]
        found = compare_runs(*runs).metrics

        assert (found["fact_coverage"].pairs, found["refusal_rate"].pairs) == (1, 2)
        assert found["geometric_mean"].lost == ("facts", "none")
        assert found["geometric_mean"].difference == pytest.approx(0.5 - 1)

    def test_repeats_are_joined(self, before, tmp_path):
        repeats = [
            make_read_transcript(k, 3, "n", name=f"d{i}", repeat=repeat)
            for i, found in enumerate(FOUND_BEFORE, start=1)
            for repeat, k in enumerate((found, 0))
        ]
        found = compare_runs(before, write_run(tmp_path / "after", repeats)).metrics

        assert found["fact_coverage"].pairs == 12
        assert found["fact_coverage"].candidate == pytest.approx(8 / 18)

    def test_turns_may_differ_in_number(self, tmp_path):
        runs = [
            write_run(
                tmp_path / name,
                [make_read_transcript(1, 1, labels, name=f"d{i}") for i, labels in enumerate(rows)],
            )
            for name, rows in (("before", ["nnn", "nn", "n"]), ("after", ["f", "nf", "n"]))
        ]
        found = compare_runs(*runs).metrics["refusal_rate"]

        assert (found.baseline, found.candidate) == (0, 0.5)
        assert found.p is not None
        assert 0 < found.p <= 1

    def test_clusters_take_the_place_of_dialogues(self, tmp_path):
        def named(found: Sequence[int]) -> list[Transcript]:
            return [
                replace(t, dialogue=replace(t.dialogue, extra={"cluster": number // 3}))
                for number, t in enumerate(transcripts_of(found, "n" * 12))
            ]

        runs = [
            write_run(tmp_path / "before", named(FOUND_BEFORE)),
            write_run(tmp_path / "after", named(FOUND_AFTER)),
        ]
        found = compare_runs(*runs).metrics["fact_coverage"]

        assert found.difference == pytest.approx(-2 / 9)
        assert found.p == 0.125
        assert found.method == "bonett_price"

    def test_nothing_that_both_measure(self, tmp_path):
        runs = [
            write_run(tmp_path / name, [make_read_transcript(0, 0, "n")]) for name in ("a", "b")
        ]
        found = compare_runs(*runs).metrics

        assert found["fact_coverage"].difference is None
        assert found["fact_coverage"].sentence == (
            "fact_coverage: no difference to judge, nothing to count"
        )
        assert found["geometric_mean"].difference is None
        assert (found["fact_coverage"].p, found["geometric_mean"].p_adjusted) == (None, None)

    def test_what_was_not_tested_takes_no_share_of_the_risk(self, tmp_path):
        runs = [
            write_run(tmp_path / name, [make_read_transcript(0, 0, c, f"d{i}") for i in range(6)])
            for name, c in (("a", "f"), ("b", "n"))
        ]
        gates = {name: {"no_regression": {"margin": 0.05}} for name in BUILT_IN}
        found = compare_runs(*runs, gates=gates).metrics["refusal_rate"]

        assert (found.p, found.p_adjusted, found.verdict) == (1 / 32, 1 / 32, "better")

    def test_a_mean_that_fell_to_zero_has_a_verdict_but_no_interval(self, tmp_path):
        runs = [
            write_run(tmp_path / "a", transcripts_of([3] * 8, "n" * 8)),
            write_run(tmp_path / "b", transcripts_of([0] * 8, "n" * 8)),
        ]
        found = compare_runs(*runs).metrics["geometric_mean"]

        assert (found.low, found.mde, found.verdict) == (None, None, "worse")
        assert "no interval, a geometric mean of 0 has no slope" in found.sentence

    def test_a_single_pair_can_show_nothing(self, tmp_path):
        runs = [write_run(tmp_path / name, transcripts_of([2], "n")) for name in ("a", "b")]

        assert compare_runs(*runs).metrics["fact_coverage"].words == (
            "too small to tell (so few dialogues can't show any difference)"
        )


class TestOwnMetrics:
    def test_numbers_of_any_size(self, tmp_path):
        transcripts = transcripts_of([3] * 8, "n" * 8)
        lengths = [100.0, 250.0, 80.0, 120.0, 95.0, 400.0, 60.0, 77.0]
        longer = [value * 1.5 for value in lengths]
        before = write_run(tmp_path / "a", transcripts, {"length": lengths})
        after = write_run(tmp_path / "b", transcripts, {"length": longer})
        gates = {"length": {"max": 1000, "no_regression": {"margin": 10}}}
        found = compare_runs(before, after, gates=gates).metrics["length"]

        assert (found.kind, found.method, found.lower_is_better) == ("mean", "t", True)
        assert (found.p, found.verdict) == (2 / 2**8, "worse")

    def test_counts_and_missing_values(self, tmp_path):
        transcripts = transcripts_of([3] * 4, "n" * 4)
        before = write_run(tmp_path / "a", transcripts, {"cited": [[1, 2], [0, 1], None, [1, 1]]})
        after = write_run(tmp_path / "b", transcripts, {"cited": [[2, 2], [1, 1], [1, 1], None]})
        found = compare_runs(before, after).metrics["cited"]

        assert (found.pairs, found.kind) == (2, "proportion")
        assert (found.baseline, found.candidate) == near(1 / 3, 1)

    def test_one_that_failed_is_left_out_and_said_so(self, tmp_path):
        transcripts = transcripts_of([3] * 3, "n" * 3)
        runs = [
            write_run(tmp_path / name, transcripts, {"length": [1.0, 2.0, 3.0], "odd": [0.0] * 3})
            for name in ("a", "b")
        ]
        path = tmp_path / "b" / "scores.jsonl"
        text = path.read_text("utf-8").replace("}\n", ', "metric_errors": {"odd": "no"}}\n')
        path.write_text(text, "utf-8")
        comparison = compare_runs(*runs)

        assert comparison.notes == ("odd, which failed in the candidate",)
        assert "length" in comparison.metrics
        assert "odd" not in comparison.metrics

    def test_refusals_read_by_an_own_metric(self, tmp_path):
        transcripts = transcripts_of([3] * 4, "n" * 4)
        rows: list[Any] = [[[0, 2], [1, 2], [0, 1], None], [[1, 2], [1, 2], [1, 1], [0, 1]]]
        runs = [
            write_run(tmp_path / name, transcripts, {"refusal_rate": row}, detector="own")
            for name, row in zip("ab", rows, strict=True)
        ]
        found = compare_runs(*runs).metrics

        assert (found["refusal_rate"].baseline, found["refusal_rate"].candidate) == near(0.2, 0.6)
        assert found["refusal_rate"].lost == found["geometric_mean"].lost == ("d1", "d3")
        assert [found[name].pairs for name in BUILT_IN] == [4, 3, 3]

    def test_refusals_that_an_own_metric_failed_to_read_are_left_out(self, tmp_path):
        transcripts = transcripts_of([3] * 3, "n" * 3)
        runs = [write_run(tmp_path / name, transcripts) for name in "ab"]
        path = runs[1] / "scores.jsonl"
        odd = ', "refusal_rate": null, "metric_errors": {"refusal_rate": "no"}}\n'
        path.write_text(path.read_text("utf-8").replace("}\n", odd), "utf-8")
        gates = {name: {"no_regression": {"margin": 0.05}} for name in BUILT_IN}
        comparison = compare_runs(*runs, gates=gates)

        assert list(comparison.metrics) == ["fact_coverage"]
        assert comparison.notes == ("refusal_rate, which failed in the candidate",)

    def test_few_changes_of_any_size(self, tmp_path):
        transcripts = transcripts_of([3] * 3, "n" * 3)
        before = write_run(tmp_path / "a", transcripts, {"length": [10.5, 20.5, 30.5]})
        after = write_run(tmp_path / "b", transcripts, {"length": [10.5, 21.5, 32.5]})

        assert compare_runs(before, after).metrics["length"].sentence == (
            "length: 20.5000 -> 21.5000 (+1.0000, no interval, too few dialogues changed, "
            "or all by the same amount; p 0.5000; n = 3): too small to tell"
        )

    def test_what_such_a_run_can_detect_has_no_points(self, tmp_path):
        transcripts = transcripts_of([3] * 8, "n" * 8)
        rows = [1.5, 40.5, 3.5, 80.5, 2.5, 60.5, 7.5, 9.5]
        before = write_run(tmp_path / "a", transcripts, {"length": rows})
        after = write_run(tmp_path / "b", transcripts, {"length": rows[::-1]})

        assert "this run can detect 5" in compare_runs(before, after).metrics["length"].words


class TestRecord:
    def test_the_keys_of_the_contract(self, before, after):
        record = json.loads(json.dumps(comparison_record(compare_runs(before, after))))
        keys = {"difference", "low", "high", "p", "p_adjusted", "mde", "verdict", "gained", "lost"}

        for metric in ("fact_coverage", "refusal_rate", "geometric_mean"):
            assert keys <= set(record[metric])
        assert record["fact_coverage"]["gained"] == ["d10"]

    def test_it_is_read_back_and_judged_by_other_gates(self, before, after):
        found = compare_runs(before, after, gates=ON_COVERAGE)
        record = json.loads(json.dumps(comparison_record(found)))
        both = ON_COVERAGE | {"refusal_rate": {"max": 1}}

        assert parse_comparison(record, after, ON_COVERAGE) == found
        assert parse_comparison(record, after, both) == compare_runs(before, after, gates=both)

    def test_gates_that_are_read_later_say_what_is_better(self, tmp_path):
        transcripts = transcripts_of([3] * 8, "n" * 8)
        rows = [100.0, 250.0, 80.0, 120.0, 95.0, 400.0, 60.0, 77.0]
        longer = [value * 1.5 for value in rows]
        runs = [
            write_run(tmp_path / name, transcripts, {"length": row})
            for name, row in (("a", rows), ("b", longer))
        ]
        gates = {"length": {"max": 1000}}
        recorded = json.loads(json.dumps(comparison_record(compare_runs(*runs))))
        later = parse_comparison(recorded, runs[1], gates)

        assert recorded["length"]["verdict"] == "better"
        assert later.metrics == compare_runs(*runs, gates=gates).metrics
        assert (later.metrics["length"].verdict, later.metrics["length"].gained) == ("worse", ())


class TestObstacles:
    def test_missing_dialogues(self, before, tmp_path):
        after = write_run(tmp_path / "after", transcripts_of(FOUND_AFTER, REFUSED_AFTER)[:7])

        with pytest.raises(UsageError) as caught:
            compare_runs(before, after)
        assert str(caught.value) == (
            f"{after} can't be compared with {before}: 5 dialogues only in the baseline: "
            "d8, d9, d10 and 2 more (--experiment-intersection, in the shell --intersection, "
            "compares what both share)"
        )

    def test_changed_and_new_dialogues(self, before, tmp_path):
        transcripts = transcripts_of(FOUND_AFTER, REFUSED_AFTER)
        other = replace(transcripts[0].dialogue, turns=("Another question?",))
        fact = replace(transcripts[1].dialogue, required_facts=(Fact(wordings=("x",)),))
        transcripts[0] = replace(transcripts[0], dialogue=other)
        transcripts[1] = replace(transcripts[1], dialogue=fact)
        transcripts.append(make_read_transcript(1, 1, "n", name="new"))
        after = write_run(tmp_path / "after", transcripts)

        with pytest.raises(UsageError, match="1 dialogue only in the candidate: new; 2 dialogues"):
            compare_runs(before, after)
        comparison = compare_runs(before, after, intersection=True)
        assert comparison.pairs == 10
        assert comparison.left_out.changed == ("d1", "d2")
        assert comparison.notes == (
            "1 dialogue only in the candidate: new",
            "2 dialogues with other content: d1, d2",
        )

    def test_where_a_dialogue_stands_is_no_content(self, before, tmp_path):
        moved = [
            replace(t, dialogue=replace(t.dialogue, line=number + 90, extra={"tags": ["x"]}))
            for number, t in enumerate(transcripts_of(FOUND_AFTER, REFUSED_AFTER))
        ]

        assert compare_runs(before, write_run(tmp_path / "after", moved)).pairs == 12

    def test_metrics_read_in_another_way(self, before, tmp_path):
        transcripts = transcripts_of(FOUND_AFTER, REFUSED_AFTER)
        after = write_run(tmp_path / "after", transcripts, fact_mode="strict")

        with pytest.raises(UsageError, match="fact_coverage was scored with another fact_mode;"):
            compare_runs(before, after)
        comparison = compare_runs(before, after, intersection=True)
        assert list(comparison.metrics) == ["refusal_rate"]
        assert len(comparison.notes) == 2

    def test_the_advice_is_one_that_helps(self, before, tmp_path):
        transcripts, own = transcripts_of(FOUND_AFTER, REFUSED_AFTER), {"length": [1.0] * 12}
        other = write_run(tmp_path / "b", transcripts, fact_mode="strict", detector="keywords")
        runs = [write_run(tmp_path / v, transcripts, own, version=v) for v in ("1", "2")]

        with pytest.raises(UsageError, match="with the same facts and refusals in the manifest"):
            compare_runs(before, other)
        with pytest.raises(UsageError, match="summarize --rescore"):
            compare_runs(*runs)
        assert list(compare_runs(*runs, intersection=True).metrics) == ["length"]

    def test_other_definitions_leave_nothing_to_compare(self, tmp_path):
        transcripts = transcripts_of(FOUND_AFTER, REFUSED_AFTER)
        before = write_run(tmp_path / "before", transcripts, version="1")
        after = write_run(tmp_path / "after", transcripts, version="2")

        with pytest.raises(UsageError, match=r"definitions_version.*summarize --rescore"):
            compare_runs(before, after)
        shared = compare_runs(before, after, intersection=True)
        assert (shared.pairs, dict(shared.metrics), len(shared.notes)) == (12, {}, 3)

    def test_a_rescored_run_counts_as_it_was_scored_last(self, tmp_path):
        transcripts = transcripts_of(FOUND_AFTER, REFUSED_AFTER)
        before = write_run(tmp_path / "before", transcripts, version="1")
        after = write_run(tmp_path / "after", transcripts, version="2")
        summary = {"provenance": {"definitions_version": "2"}}
        (before / "summary.json").write_text(json.dumps(summary))

        assert compare_runs(before, after).pairs == 12

    def test_no_run_folder(self, before, tmp_path):
        with pytest.raises(RunFolderError, match="no run folder"):
            compare_runs(tmp_path / "nowhere", before)

    def test_a_broken_summary(self, before):
        (before / "summary.json").write_text("{")

        with pytest.raises(RunFolderError, match=r"summary\.json can't be read"):
            compare_runs(before, before)

    def test_a_run_file_that_says_too_little(self, before):
        (before / "run.json").write_text('{"experiment": {}}')

        with pytest.raises(RunFolderError, match=r"run\.json doesn't say 'fact_mode'"):
            compare_runs(before, before)
