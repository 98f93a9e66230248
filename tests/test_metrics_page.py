"""docs/METRICS.md is true: its tables are recomputed, and no key of a run folder is missing there.

Its sessions are run by `test_docs.py`.
"""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist

import pytest

from pytest_experiment_profiler import cli
from pytest_experiment_profiler.statistics import Estimate, Unit, ratio, ratio_interval
from tests.builders import make_read_transcript, read_lines, sum_up, write_project

PAGE = Path(__file__).parent.parent / "docs" / "METRICS.md"
TEXT = PAGE.read_text("utf-8")


def read_table(head):
    """Give the first table whose head begins so, each row a list of cells, the head's first."""
    lines = TEXT.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(f"| {head} "))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line.strip("|"))
        rows.append([cell.strip().replace("\\|", "|") for cell in cells])
    return [rows[0], *rows[2:]]


def show(value):
    return "n/a" if value is None else f"{value:.4f}"


# --- worked examples


def make(text):
    """Make the transcript that a cell describes, such as "2/3 refused"."""
    counts = re.match(r" *(\d+)/(\d+)", text)
    found, expected = map(int, counts.groups()) if counts else (0, 0)
    labels = "f" if "refused" in text else "e" if "error" in text else "n"
    return make_read_transcript(found, expected, "nf" if "two turns" in text else labels)


@pytest.mark.parametrize("row", read_table("dialogues")[1:], ids=lambda row: row[0])
def test_worked_examples(row):
    dialogues, coverage, refusals, both, also = row
    found = sum_up(*map(make, dialogues.split(";")))
    name, value = also.split()

    assert show(found["fact_coverage"]) == coverage
    assert show(found["refusal_rate"]) == refusals
    assert show(found["geometric_mean"]) == both
    assert show(found[name]) == value


def make_units(metric, text):
    """Make the units of a cell such as "3/3 0/3 | 1/3"."""
    for number, cluster in enumerate(text.split("|")):
        name = str(number) if "|" in text else None
        for pair in cluster.split():
            k, m = map(int, pair.split("/"))
            if metric == "fact_coverage":
                yield Unit(Fraction(k, m), 1, m, name)
            else:
                yield Unit(k, m, cluster=name)


@pytest.mark.parametrize("row", read_table("metric")[1:], ids=lambda row: row[1])
def test_worked_intervals(row):
    metric, dialogues, value, n, n_eff, reach = row
    units = list(make_units(metric, dialogues))
    found = ratio_interval(units, kind="proportion")

    assert isinstance(found, Estimate)
    assert show(ratio(units)) == value
    assert (str(found.interval.n), f"{found.n_eff:.1f}") == (n, n_eff)
    assert f"{found.interval.low:.4f} to {found.interval.high:.4f}" == reach


# --- how many dialogues are enough

Z, Z_POWER = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.8)


def needed(drop, r, before=0.8):
    """Give the pairs that show a drop (Connor 1987); None where no two runs are so alike."""
    after = before - drop
    together = r * math.sqrt(before * (1 - before) * after * (1 - after))
    gained, lost = after * (1 - before) - together, before * (1 - after) - together
    if gained < 0:
        return None
    q = gained + lost
    return (Z * math.sqrt(q) + Z_POWER * math.sqrt(q - drop * drop)) ** 2 / drop**2


def detectable(pairs, r):
    low, high = 0.001, 0.8
    for _ in range(60):
        middle = (low + high) / 2
        found = needed(middle, r)
        low, high = (low, middle) if found is None or found <= pairs else (middle, high)
    return None if needed(high + 1e-6, r) is None else 100 * high


def show_points(drop):
    if drop is None:
        return "\u2013"
    return f"{drop:.0f}" if drop >= 10 else f"{drop:.1f}"


@pytest.mark.parametrize("row", [0, 1], ids=["apart", "alike"])
def test_detectable_drops(row):
    head, *rows = read_table("dialogues | 20")
    name, *drops = rows[row]
    r = float(name.removeprefix("r = "))
    found = [detectable(int(size), r) for size in head[1:]]

    assert drops == [show_points(x) for x in found]


def test_the_variance_of_coverage_plans_a_run():
    # Miller 2024: with a variance of 1/9, 3 points take 969 dialogues.
    assert round((Z + Z_POWER) ** 2 / 9 / 0.03**2) == 969


# --- keys

INNER = {"intervals", "by_tag", "packages", "comparison"}


def list_keys(values, at=""):
    """List the keys of a record; of one that is keyed by names, only those of its values."""
    for key, value in values.items():
        if at not in {"intervals", "by_tag", "packages", "no_interval", "metric_errors"}:
            yield key
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from list_keys(item, "" if at in INNER else key)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a run that has all there is: tags, a warning, gates, a comparison."""
    path = tmp_path_factory.mktemp("runs")
    rows = [
        {"dialogue_id": "a", "turns": ["1?", "2?", "3?"], "required_facts": ["x"], "tags": ["t"]},
        {"dialogue_id": "b", "user": "4?", "required_facts": ["y"]},
    ]
    answers = {"a": ["x", "y", "z"], "b": "y"}
    manifest = write_project(path, rows, answers, gates={"fact_coverage": {"min": 0.1}})
    run = ["run", "--config", str(manifest), "--output-dir"]
    assert cli.main([*run, str(path / "old")]) == 0
    assert cli.main([*run, str(path / "new"), "--baseline", str(path / "old" / "demo_run")]) == 0
    return path / "new" / "demo_run"


@pytest.mark.parametrize("client", ["mock", "anthropic", "replay"])
def test_every_key_of_a_summary_is_explained(folder, client):
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    priced = sum_up(make_read_transcript(1, 1), client=client, priced=True)
    named = set(re.findall(r"`(\w+)`", TEXT))

    assert summary["comparison"]["fact_coverage"]["sentence"]
    assert summary["intervals"]["refusal_rate"]["warning"]
    assert set(list_keys(summary)) <= named
    assert set(list_keys(priced)) <= named


def test_every_key_of_a_score_is_explained(folder):
    named = set(re.findall(r"`(\w+)`", TEXT))

    assert set(list_keys(read_lines(folder / "scores.jsonl")[0])) <= named | {"dialogue_id"}
