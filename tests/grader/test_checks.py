"""Judging: a right program passes every check, each fault fails the check made for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grader.box import Ending
from grader.checks import CHECK_IDS, NOT_REACHED, judge
from tests.grader.builders import (
    CASES,
    DONE,
    GIVEN,
    call_of,
    evidence,
    files_of,
    lines,
    request_row,
    response_row,
    run_of,
    summary_of,
)

FRESH = CASES.fresh


def failed(**changes):
    problems = judge(evidence(**changes), CASES)
    assert set(problems) == set(CHECK_IDS)
    return {name for name, problem in problems.items() if problem not in {None, NOT_REACHED}}


def fresh_with(name, data):
    return {"runs": {"fresh": run_of(FRESH, files={**files_of(FRESH), name: data})}}


def fresh_summary(**changes):
    return fresh_with("summary.json", json.dumps({**summary_of(FRESH), **changes}).encode())


def changed_rows(row, change):
    rows = [row(FRESH, item) for item in FRESH.dialogues]
    change(rows)
    return lines(rows)


def test_a_right_program_passes_every_check():
    assert failed() == set()


def test_nothing_done_is_nothing_gained():
    never = Ending(code=1, reason="exit", stderr=b"NotImplementedError")
    groups = ("fresh", "rerun", "moved", "live", "zero")
    runs = {name: run_of(getattr(CASES, name), ending=never) for name in groups}
    summaries = dict.fromkeys(("run", "given", "missing"), never)
    failures = dict.fromkeys(("missing_dataset", "empty_array", "empty_lines"), never)
    found = evidence(runs=runs, summaries=summaries, failures=failures)
    assert None not in judge(found, CASES).values()


@pytest.mark.parametrize("row", [request_row, response_row])
@pytest.mark.parametrize(
    "change",
    [list.reverse, list.pop, lambda rows: rows.append(rows[0]), lambda rows: rows[0].clear()],
    ids=["reversed", "one short", "one twice", "no id"],
)
def test_one_line_a_dialogue_in_order(row, change):
    group = "requests" if row is request_row else "responses"
    name = f"{group}.jsonl"
    assert f"fresh.{group}.lines" in failed(**fresh_with(name, changed_rows(row, change)))


@pytest.mark.parametrize("name", ["requests.jsonl", "responses.jsonl"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\n",
        lambda data: data.replace(b"{", b'{"dialogue_id": "x", ', 1),
        lambda data: data + b"\xff\n",
        lambda data: b"[" + data.replace(b"\n", b",") + b"0]\n",
        lambda _data: b"",
    ],
    ids=["blank line", "key twice", "not UTF-8", "an array", "empty"],
)
def test_logs_are_strict_json_lines(name, spoil):
    found = failed(**fresh_with(name, spoil(files_of(FRESH)[name])))
    assert f"fresh.{name.partition('.')[0]}.lines" in found


def test_the_last_line_may_lack_its_end():
    files = {name: data.removesuffix(b"\n") for name, data in files_of(FRESH).items()}
    assert failed(runs={"fresh": run_of(FRESH, files=files)}) == set()


@pytest.mark.parametrize("field", ["model", "temperature", "max_tokens"])
@pytest.mark.parametrize("value", [None, True, "0.5", [0.5], 123456])
def test_request_fields_are_the_manifest_s(field, value):
    data = changed_rows(request_row, lambda rows: rows[-1].update({field: value}))
    assert failed(**fresh_with("requests.jsonl", data)) == {f"fresh.requests.{field}"}


def test_whole_numbers_equal_their_floats_and_extra_keys_are_free():
    data = changed_rows(
        request_row,
        lambda rows: [r.update(max_tokens=float(r["max_tokens"]), more=1) for r in rows],
    )
    assert failed(**fresh_with("requests.jsonl", data)) == set()


@pytest.mark.parametrize(
    ("key", "value"), [("completion", ""), ("model", None), ("stop_reason", 1)]
)
def test_response_fields_are_the_answer_s(key, value):
    data = changed_rows(response_row, lambda rows: rows[0].update({key: value}))
    assert failed(**fresh_with("responses.jsonl", data)) == {f"fresh.responses.{key}"}


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e999", "true", "null", '"0.5"', "[0.5]", "9" * 5000],
)
@pytest.mark.parametrize("name", ["fact_coverage", "refusal_rate", "geometric_mean"])
def test_a_metric_is_a_finite_number(name, value):
    text = json.dumps({**summary_of(FRESH), name: "HERE"}).replace('"HERE"', value)
    assert f"fresh.summary.{name}" in failed(**fresh_with("summary.json", text.encode()))


@pytest.mark.parametrize(("off", "right"), [(1.9e-4, True), (-1.9e-4, True), (2.2e-4, False)])
def test_metrics_may_be_rounded_to_four_decimals(off, right):
    value = summary_of(FRESH)["refusal_rate"] + off
    found = failed(**fresh_summary(refusal_rate=value))
    assert (found == set()) is right


@pytest.mark.parametrize(
    ("group", "values"), [("moved", (0.0, 1.0)), ("rerun", (None, None)), ("rerun", (0.01, 0.1))]
)
def test_the_metrics_are_null_without_facts_and_zero_without_finds(group, values):
    case = getattr(CASES, group)
    wrong = dict(zip(("fact_coverage", "geometric_mean"), values, strict=True))
    data = json.dumps({**summary_of(case), **wrong}).encode()
    run = run_of(case, files={**files_of(case), "summary.json": data})
    assert failed(runs={group: run}) == {f"{group}.summary.{name}" for name in wrong}


def test_a_missing_file_fails_the_run():
    run = run_of(FRESH, problems={"requests.jsonl": "requests.jsonl: gone"})
    assert "fresh.run" in failed(runs={"fresh": run})


def test_calls_may_come_in_any_order():
    run = run_of(CASES.live, live=True)
    assert failed(runs={"live": replace(run, calls=run.calls[::-1])}) == set()


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"model": "other"}, "model"),
        ({"max_tokens": 1}, "max_tokens"),
        ({"temperature": None}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"system": "other"}, "system"),
        ({"system": None}, "system"),
    ],
)
def test_each_call_is_as_described(changes, check):
    run = run_of(CASES.live, live=True)
    first = call_of(CASES.live, CASES.live.dialogues[0], **changes)
    found = failed(runs={"live": replace(run, calls=(first, *run.calls[1:]))})
    assert found == {f"live.wire.{check}"}


def test_contents_may_be_blocks():
    run = run_of(CASES.live, live=True)
    calls = []
    for item in CASES.live.dialogues:
        blocks = [{"type": "text", "text": item.user}]
        system = {"system": [{"type": "text", "text": item.system}]} if item.system else {}
        messages = [{"role": "user", "content": blocks}]
        calls.append(call_of(CASES.live, item, messages=messages, **system))
    assert failed(runs={"live": replace(run, calls=tuple(calls))}) == set()


@pytest.mark.parametrize("number", [0, 1, -1])
def test_each_dialogue_is_asked_once(number):
    run = run_of(CASES.live, live=True)
    calls = {0: (), 1: (*run.calls, run.calls[0]), -1: run.calls[1:]}[number]
    assert "live.wire.calls" in failed(runs={"live": replace(run, calls=calls)})


def test_the_key_goes_along():
    run = run_of(CASES.live, live=True)
    calls = tuple(replace(call, keys=("other",)) for call in run.calls)
    assert failed(runs={"live": replace(run, calls=calls)}) == {"live.wire.key"}


def test_a_temperature_of_zero_is_sent_too():
    run = run_of(CASES.zero, live=True)
    calls = tuple(call_of(CASES.zero, d, temperature=None) for d in CASES.zero.dialogues)
    assert failed(runs={"zero": replace(run, calls=calls)}) == {"zero.wire.temperature"}


def test_without_a_key_nothing_is_sent():
    assert failed(runs={"fresh": run_of(FRESH, requests=1)}) == {"fresh.offline"}


def printed(text):
    return {"summaries": {"given": Ending(code=0, reason="exit", stdout=text.encode())}}


NAMED = [(name, f"{value:.4f}") for name, value in GIVEN.items()]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"| {name} | {value} |" for name, value in NAMED),
        " ".join(f'"{name}": {value},' for name, value in NAMED),
        "".join(f"{name}\n\x1b[1;36m{value}\x1b[0m\n" for name, value in NAMED),
        ", ".join(GIVEN) + "\n" + " ".join(f"{n}={v}" for n, v in NAMED),
        "".join(f"\x1b]8;id=7;file:///2\x1b\\{n}\x1b]8;;\x07 \x1b(B{v}\n" for n, v in NAMED),
        "metric,value,dialogues\n" + "".join(f"{n},{v},12\n" for n, v in NAMED),
    ],
    ids=["table", "one line", "coloured", "heading", "linked", "followed by a count"],
)
def test_the_layout_of_a_summary_is_free(text):
    assert failed(**printed(text)) == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ".join(f"{name} {float(value):.3f}" for name, value in NAMED),
        " ".join(f"{name} {float(value):.5f}" for name, value in NAMED),
        " ".join(f"{name} {100 * float(value):.4f}" for name, value in NAMED),
        " ".join(f"{name} {step / 10000:.4f}" for name in GIVEN for step in range(10001)),
        " ".join(value for _, value in NAMED),
        " ".join(f"{name} {value}" for name, value in NAMED[:2]),
    ],
    ids=["nothing", "three", "five", "percent", "every value", "no names", "two only"],
)
def test_a_summary_shows_each_value_with_four_decimals(text):
    assert failed(**printed(text)) == {"summarize.given"}


@pytest.mark.parametrize(
    "ending",
    [
        DONE,
        Ending(code=1, reason="exit"),
        Ending(code=1, reason="exit", stderr=b" \n"),
        Ending(code=-1, reason="timeout", stderr=b"x"),
        Ending(code=-1, reason="killed", stderr=b"x"),
    ],
    ids=["success", "silent", "blank", "timeout", "killed"],
)
def test_a_failure_says_so(ending):
    assert failed(failures={"empty_array": ending}) == {"errors.empty_array"}
    assert failed(summaries={"missing": ending}) == {"summarize.missing"}


def test_failing_is_only_credited_to_a_program_that_runs():
    problems = judge(evidence(**fresh_summary(refusal_rate=0.5)), CASES)
    gated = [name for name in problems if name.startswith("errors.")]
    gated += ["summarize.missing", "submission.files"]
    assert {problems[name] for name in gated} == {NOT_REACHED}
