"""A run as Markdown, rendered: what stands there, and what hostile text can't do."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from pytest_experiment_profiler.metrics.own import Own
from pytest_experiment_profiler.metrics.scores import score_record
from pytest_experiment_profiler.reports.markdown import render_markdown
from tests.builders import make_read_transcript, sum_up

RENDERER = MarkdownIt("commonmark").enable("table")


def make_score(name="water", **changes):
    transcript = make_read_transcript(1, 2, "n", name)
    return score_record(transcript, Own()) | changes


def render(*scores, **changes):
    summary = sum_up(make_read_transcript(2, 3, "n"), make_read_transcript(3, 3, "f")) | changes
    return RENDERER.render(render_markdown(summary, scores))


def cells(page, table=-1):
    """List the rows of one of the tables."""
    body = page.split("<table>")[table]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


def test_metrics_have_their_intervals():
    rows = cells(render(), table=1)
    assert rows[0] == ["Metric", "Value", "95 % interval", "n"]
    assert rows[1][:2] == ["fact_coverage", "0.8333"]
    assert re.fullmatch(r"0\.\d{4} to \d\.\d{4}", rows[3][2])


def test_intervals_stand_in_the_table_only():
    page = render()
    reach = cells(page, table=1)[1][2]
    assert page.count(reach) == 1
    assert "<li>not in these intervals: " in page


GATE = {"gate": "x", "holds": False, "value": None, "limit": None}


@pytest.mark.parametrize("words", ["has no baseline to be compared with", "0.5 is below 0.9"])
def test_each_gate_is_told(words):
    gates = [{**GATE, "outcome": "failed", "sentence": f"fact_coverage {words}"}]
    assert f"<li>gate failed: fact_coverage {words}</li>" in render(gates=gates)


def test_the_comparison_is_told():
    contrast = {
        "metric": "fact_coverage",
        "sentence": "fact_coverage 0.5 to 0.7: better",
        "gained": ["d1"],
        "lost": [],
    }
    comparison = {"baseline": "runs/old", "pairs": 12, "notes": [], "fact_coverage": contrast}
    comparison["left_out"] = {"incomplete": []}
    page = render(comparison=comparison)
    assert re.search("<li>compared with .*runs/old.*: 12 pairs of dialogues</li>", page)
    assert "<li>fact_coverage 0.5 to 0.7: better</li>" in page


def test_a_partial_run_is_marked():
    counts = sum_up(make_read_transcript())["counts"] | {"selected": 12, "dialogues": 40}
    assert "partial: 12 of 40 dialogues" in render(counts=counts, status="partial")


def test_the_worst_come_first_and_the_good_not_at_all():
    found = [{"fact": "a", "found": True, "matched": "a"}]
    missing = [{"fact": {"all_of": ["a", "b"]}, "found": False, "matched": None}]
    refusal = [{"label": "full", "score": 1.0, "evidence": "I can't."}]
    page = render(
        make_score("good", fact_coverage=1.0, facts=found),
        make_score("half", fact_coverage=0.5, facts=found),
        make_score("refused", fact_coverage=None, facts=[], refusal=refusal),
        make_score("none", fact_coverage=0.0, facts=missing, repeat=2),
        make_score("broken", outcome="error", fact_coverage=None, facts=[]),
        make_score("no_facts", fact_coverage=None, facts=[]),
    )
    rows = cells(page)[1:]
    assert [row[0] for row in rows] == ["broken", "refused", "none, repeat 2", "half"]
    assert rows[1][4] == "I can't."
    assert rows[2][3] == "all of: a + b"


def test_a_long_list_is_cut_and_says_so():
    rows = cells(render(*[make_score(f"d{n}", fact_coverage=0.5) for n in range(40)]))
    assert len(rows) == 11
    assert rows[0][0] == "Worst dialogues (10 of 40)"


HOSTILE = (
    "<script>x</script>",
    "<img src=x onerror=y>",
    "[a](http://evil)",
    "![a](http://evil)",
    "a | b | c",
    "a \\| b",
    "`code` **bold** _it_ ~~x~~",
    "line\n\n# heading\n| a |",
    "&lt;b&gt;",
    "<!-- x",
    "<http://evil>",
    "$x$ :tada: @all",
    "\x1b[31m \u202e",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text):
    refusal = [{"label": "full", "score": 1.0, "evidence": text}]
    facts = [{"fact": text, "found": False, "matched": None}]
    page = render(make_score(text, facts=facts, refusal=refusal))
    tags = set(re.findall(r"</?(\w+)", page))
    assert tags == {"h3", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert len(cells(page)) == 2
    assert {len(row) for row in cells(page)} == {5}


@pytest.mark.parametrize("text", ["https://evil.example", "www.evil.example", "me@evil.example"])
def test_addresses_are_broken_for_those_who_make_links_of_them(text):
    written = render_markdown(sum_up(make_read_transcript()), [make_score(text)])
    assert text not in written
    assert text in RENDERER.render(written)
