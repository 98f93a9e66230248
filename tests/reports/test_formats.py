"""A summary in each format, read back."""

from __future__ import annotations

import csv
import json

import pytest

from pytest_experiment_profiler.reports.formats import REPORTS
from tests.builders import TABLE, make_read_transcript, sum_up

SUMMARY = sum_up(
    make_read_transcript(3, 3, "n"),
    make_read_transcript(2, 3, "n"),
    make_read_transcript(3, 3, "f"),
)
HOSTILE = "=cmd|' /C calc'!A0\x1b\u202e, \ud800"


def test_the_table_has_its_notes_below():
    lines = REPORTS["table"](SUMMARY).splitlines()
    assert lines[:9] == TABLE.splitlines()
    assert lines[9:11] == ["client: mock (claude-haiku-4-5)", "dialogues: 3, calls: 3"]


def test_json_is_the_summary():
    assert json.loads(REPORTS["json"](SUMMARY)) == json.loads(json.dumps(SUMMARY))


def test_csv_has_a_row_a_metric():
    rows = list(csv.reader(REPORTS["csv"](SUMMARY).splitlines()))
    assert rows[0] == ["metric", "value", "low", "high", "level", "n"]
    assert [row[0] for row in rows[1:]] == SUMMARY["metrics"]
    [refusals] = [row for row in rows if row[0] == "refusal_rate"]
    assert float(refusals[1]) == SUMMARY["refusal_rate"]
    assert float(refusals[2]) == SUMMARY["intervals"]["refusal_rate"]["low"]


def test_csv_leaves_a_value_that_is_not_there_empty():
    rows = list(csv.reader(REPORTS["csv"](SUMMARY | {"fact_coverage": None}).splitlines()))
    assert ["fact_coverage", ""] in [row[:2] for row in rows]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_csv_holds_no_formula(sign):
    name = f"{sign}1+1"
    rows = csv.reader(REPORTS["csv"](SUMMARY | {"metrics": [name], name: 1.0}).splitlines())
    assert [row[0] for row in rows] == ["metric", f"'{name}"]


@pytest.mark.parametrize("report", REPORTS)
def test_hostile_text_is_shown_not_obeyed(report):
    changes = {
        "metrics": [HOSTILE],
        HOSTILE: 1.0,
        "answered_by": [HOSTILE],
        "metric_errors": {HOSTILE: HOSTILE},
        "gates": [{"gate": "x", "holds": False, "outcome": "failed", "sentence": HOSTILE}],
    }
    text = REPORTS[report](SUMMARY | changes)
    assert text.replace("\n", "").isprintable()
    text.encode()
