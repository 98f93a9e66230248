"""A right program, a case and a run to judge, without starting anything."""

from __future__ import annotations

import json

from grader.box import Ending
from grader.cases import make_cases
from grader.oracle import measure
from grader.places import FIXTURES
from grader.recorder import Call
from grader.trials import Evidence, RunEvidence

RIGHT = FIXTURES / "alternatives" / "one_file"
DONE = Ending(code=0, reason="exit")
REFUSED = Ending(code=2, reason="exit", stderr=b"no")
KEY = "sk-ant-test"
GIVEN = {"fact_coverage": 0.81232, "refusal_rate": 0.25002, "geometric_mean": 0.61232}
ALTERED = {"fact_coverage": 0.4321, "refusal_rate": 0.0, "geometric_mean": 0.75}
CASES = make_cases(7)


def request_row(case, dialogue):
    return {
        "dialogue_id": dialogue.dialogue_id,
        "model": case.model,
        "temperature": case.temperature,
        "max_tokens": case.max_tokens,
        "prompt": {"system": dialogue.system, "user": dialogue.user},
    }


def response_row(case, dialogue):
    return {
        "dialogue_id": dialogue.dialogue_id,
        "completion": dialogue.answer.text,
        "model": dialogue.answer.model or case.model,
        "stop_reason": dialogue.answer.stop_reason,
    }


def summary_of(case):
    values = measure(case)
    names = ("fact_coverage", "refusal_rate", "geometric_mean")
    return {"experiment_id": case.experiment_id, **{name: getattr(values, name) for name in names}}


def lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def files_of(case):
    return {
        "requests.jsonl": lines(request_row(case, item) for item in case.dialogues),
        "responses.jsonl": lines(response_row(case, item) for item in case.dialogues),
        "summary.json": json.dumps(summary_of(case)).encode(),
    }


def call_of(case, dialogue, **changes):
    body = {
        "model": case.model,
        "max_tokens": case.max_tokens,
        "temperature": case.temperature,
        "messages": [{"role": "user", "content": dialogue.user}],
    }
    if dialogue.system is not None:
        body["system"] = dialogue.system
    return Call(path="/v1/messages", keys=(KEY,), body={**body, **changes})


def run_of(case, *, live=False, **changes):
    calls = tuple(call_of(case, item) for item in case.dialogues) if live else ()
    found = {"ending": DONE, "files": files_of(case), "calls": calls, "key": KEY}
    return RunEvidence(**{**found, **changes})


def shown(values):
    text = "".join(f"{name}  {value:.4f}\n" for name, value in values.items())
    return Ending(code=0, reason="exit", stdout=text.encode())


def evidence(**changes):
    """Give what a right program leaves, with some runs replaced."""
    runs = {name: run_of(getattr(CASES, name)) for name in ("fresh", "rerun", "moved")}
    runs |= {name: run_of(getattr(CASES, name), live=True) for name in ("live", "zero")}
    summaries = {"run": shown(ALTERED), "given": shown(GIVEN), "missing": REFUSED}
    failures = dict.fromkeys(("missing_dataset", "empty_array", "empty_lines"), REFUSED)
    return Evidence(
        runs=runs | changes.pop("runs", {}),
        summaries=summaries | changes.pop("summaries", {}),
        failures=failures | changes.pop("failures", {}),
        given=GIVEN,
        altered=ALTERED,
    )
