"""Judge evidence: each check is a name and what is wrong, or None."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from grader.artifacts import is_number
from grader.errors import ArtifactError
from grader.recorder import PATH, find_dialogue, text_of, texts_of_messages, user_text
from grader.results import Run
from grader.trials import FAILURES, LIVE, METRICS, NEVER, RUNS, RunEvidence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grader.box import Ending
    from grader.cases import Cases
    from grader.experiments import Case, Dialogue
    from grader.trials import Evidence

Problem: TypeAlias = "str | None"
TOLERANCE = 2e-4
SHOWN_TOLERANCE = 5.001e-5
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[(-/].|[=>78])")
NUMBER = re.compile(r"\d+(?:\.\d+)*")
FOUR_DECIMALS = re.compile(r"\d+\.\d{4}")
NOT_REACHED = "not reached"
REQUEST_FIELDS = ("model", "temperature", "max_tokens")


def judge(evidence: Evidence, cases: Cases) -> dict[str, Problem]:
    """Judge all that a submission did; the keys are the same whatever it did."""
    found: dict[str, Problem] = {}
    for group in RUNS:
        case = getattr(cases, group)
        run = Run(case=case, evidence=evidence.runs.get(group, RunEvidence()))
        found.update(_judge_run(group, run))
    fresh_passed = _passed(found, "fresh")
    found.update(_judge_summaries(evidence, fresh_passed=fresh_passed))
    found["rerun.summarize"] = NOT_REACHED
    if _passed(found, "rerun.summary"):
        ending = evidence.summaries.get("run", NEVER)
        found["rerun.summarize"] = _ask(partial(_shows, ending, evidence.altered))
    for name in FAILURES:
        ending = evidence.failures.get(name, NEVER)
        found[f"errors.{name}"] = _refusal(ending) if fresh_passed else NOT_REACHED
    found["submission.files"] = None if fresh_passed else NOT_REACHED
    return {name: found[name] for name in sorted(found)}


def _passed(found: Mapping[str, Problem], group: str) -> bool:
    """Tell whether all checks below a name have passed."""
    return not any(found[name] for name in found if name.startswith(f"{group}."))


def _ask(check: Callable[[], object]) -> Problem:
    try:
        check()
    except ArtifactError as error:
        return str(error)
    return None


def _judge_run(group: str, run: Run) -> dict[str, Problem]:
    ran = _ask(partial(_ran, run))
    found: dict[str, Problem] = {f"{group}.run": ran}
    for name, check in RUN_CHECKS.items():
        found[f"{group}.{name}"] = _ask(partial(check, run)) if ran is None else NOT_REACHED
    further = _judge_wire(run) if group in LIVE else {"offline": _offline(run.evidence)}
    for name, problem in further.items():
        found[f"{group}.{name}"] = problem if ran is None else NOT_REACHED
    return found


def _ran(run: Run) -> None:
    _ended_well(run.evidence.ending)
    for problem in run.evidence.problems.values():
        raise ArtifactError(problem)


def _ended_well(ending: Ending) -> None:
    if ending.reason == "over":
        raise ArtifactError(NOT_REACHED)
    if not ending.clean:
        how = f"exit code {ending.code}" if ending.reason == "exit" else ending.reason
        raise ArtifactError(f"the command failed ({how})")


def _requests(run: Run) -> None:
    run.rows("requests.jsonl")


def _responses(run: Run) -> None:
    run.rows("responses.jsonl")


def _request_field(name: str) -> Callable[[Run], None]:
    def check(run: Run) -> None:
        want = getattr(run.case, name)
        for dialogue, row in run.rows("requests.jsonl"):
            _expect(row.get(name), want, f"requests.jsonl: {name} of {dialogue.dialogue_id}")

    return check


def _prompt(run: Run) -> None:
    for dialogue, row in run.rows("requests.jsonl"):
        prompt = row.get("prompt")
        where = f"requests.jsonl: prompt of {dialogue.dialogue_id}"
        if not isinstance(prompt, dict) or not {"system", "user"} <= prompt.keys():
            raise ArtifactError(f"{where}: no object with system and user")
        _expect(prompt["system"], dialogue.system, f"{where}: system")
        _expect(prompt["user"], dialogue.user, f"{where}: user")


def _completion(run: Run) -> None:
    for dialogue, row in run.rows("responses.jsonl"):
        where = f"responses.jsonl: completion of {dialogue.dialogue_id}"
        _expect(row.get("completion"), dialogue.answer.text, where)


def _answering_model(run: Run) -> None:
    for dialogue, row in run.rows("responses.jsonl"):
        want = dialogue.answer.model or run.case.model
        _expect(row.get("model"), want, f"responses.jsonl: model of {dialogue.dialogue_id}")


def _stop_reason(run: Run) -> None:
    for dialogue, row in run.rows("responses.jsonl"):
        where = f"responses.jsonl: stop_reason of {dialogue.dialogue_id}"
        if "stop_reason" not in row:
            raise ArtifactError(f"{where}: missing")
        got, want = row["stop_reason"], dialogue.answer.stop_reason
        if want is not None:
            _expect(got, want, where)
        elif got is not None and (not isinstance(got, str) or got == "refusal"):
            raise ArtifactError(f"{where}: neither null nor a text that isn't refusal")


def _experiment_id(run: Run) -> None:
    want = run.case.experiment_id
    _expect(run.summary().get("experiment_id"), want, "summary.json: experiment_id")


def _metric(name: str) -> Callable[[Run], None]:
    def check(run: Run) -> None:
        summary = run.summary()
        want = getattr(run.measures, name)
        if name not in summary:
            raise ArtifactError(f"summary.json: {name} is missing")
        got = summary[name]
        if want is None:
            if got is not None:
                raise ArtifactError(f"summary.json: {name} is {got!r:.40}, not null")
        elif not (is_number(got) and abs(got - want) <= TOLERANCE):
            raise ArtifactError(f"summary.json: {name} is {got!r:.40}, not {want:.4f}")

    return check


RUN_CHECKS: dict[str, Callable[[Run], None]] = {
    "requests.lines": _requests,
    **{f"requests.{name}": _request_field(name) for name in REQUEST_FIELDS},
    "requests.prompt": _prompt,
    "responses.lines": _responses,
    "responses.completion": _completion,
    "responses.model": _answering_model,
    "responses.stop_reason": _stop_reason,
    "summary.experiment_id": _experiment_id,
    **{f"summary.{name}": _metric(name) for name in METRICS},
}


def _expect(got: object, want: object, where: str) -> None:
    """Compare by type and value; whole numbers equal their floats."""
    if isinstance(want, float | int):
        same = is_number(got) and got == want
    else:
        same = type(got) is type(want) and got == want
    if not same:
        raise ArtifactError(f"{where}: {got!r:.80} instead of {want!r:.80}")


def _offline(run: RunEvidence) -> Problem:
    return f"{run.requests} requests without a key" if run.requests else None


def _judge_wire(run: Run) -> dict[str, Problem]:
    """Compare calls and dialogues as multisets, for calls may come in any order."""
    calls = run.evidence.calls
    found: dict[str, Problem] = {
        name: _ask(partial(_check_calls, run, check)) for name, check in WIRE_CHECKS.items()
    }
    users = Counter(dialogue.user for dialogue in run.case.dialogues)
    sent = Counter(str(user_text(call.body or {})) for call in calls)
    if sent != users or {call.path.partition("?")[0] for call in calls} != {PATH}:
        found["wire.calls"] = "not one POST /v1/messages a dialogue"
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """A call beside the dialogue that it is about."""

    keys: tuple[str, ...]
    body: Mapping[str, Any]
    dialogue: Dialogue
    case: Case
    key: str


def _check_calls(run: Run, check: Callable[[Sent], bool]) -> None:
    """Ask one question of every call; no call at all answers none."""
    case, calls = run.case, run.evidence.calls
    if not calls:
        raise ArtifactError("no call was sent")
    for call in calls:
        dialogue = find_dialogue(case, call.body or {})
        if dialogue is None or call.body is None:
            raise ArtifactError("a call was sent that no dialogue asks for")
        sent = Sent(
            keys=call.keys, body=call.body, dialogue=dialogue, case=case, key=run.evidence.key
        )
        if not check(sent):
            raise ArtifactError(f"the call about {dialogue.dialogue_id} is not as described")


def _same_number(got: object, want: float) -> bool:
    return is_number(got) and got == want


def _system_sent(sent: Sent) -> bool:
    want = sent.dialogue.system
    if want is None:
        return "system" not in sent.body
    return text_of(sent.body.get("system")) == want


WIRE_CHECKS: dict[str, Callable[[Sent], bool]] = {
    "wire.calls": lambda _sent: True,
    "wire.key": lambda sent: set(sent.keys) == {sent.key},
    "wire.model": lambda sent: sent.body.get("model") == sent.case.model,
    "wire.max_tokens": lambda sent: _same_number(sent.body.get("max_tokens"), sent.case.max_tokens),
    "wire.temperature": lambda sent: _same_number(
        sent.body.get("temperature"), sent.case.temperature
    ),
    "wire.messages": lambda sent: texts_of_messages(sent.body) == [("user", sent.dialogue.user)],
    "wire.system": _system_sent,
}


def _judge_summaries(evidence: Evidence, *, fresh_passed: bool) -> dict[str, Problem]:
    endings = evidence.summaries
    given = _ask(partial(_shows, endings.get("given", NEVER), evidence.given))
    missing = _refusal(endings.get("missing", NEVER)) if fresh_passed else NOT_REACHED
    return {"summarize.given": given, "summarize.missing": missing}


def _shows(ending: Ending, values: Mapping[str, float | None]) -> None:
    """Look for each name with its value: the first number between it and the next name.

    How one without a value is shown is free. A name may stand there without a number, as in a
    heading; no name may stand there with another number, or printing every value would do.
    """
    _ended_well(ending)
    text = ANSI.sub("", ending.stdout.decode("utf-8", "replace"))
    names = "|".join(values)
    shown: dict[str, list[str]] = {name: [] for name in values}
    pieces = re.split(rf"(?<!\w)({names})(?!\w)", text)
    for name, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        number = NUMBER.search(piece)
        shown[name] += [number[0]] if number else []
    for name, value in values.items():
        if value is None:
            continue
        if not shown[name] or not all(_is_shown(number, value) for number in shown[name]):
            raise ArtifactError(f"{name} isn't shown with its value")


def _is_shown(number: str, value: float) -> bool:
    exact = FOUR_DECIMALS.fullmatch(number) is not None
    return exact and abs(float(number) - value) <= SHOWN_TOLERANCE


def _refusal(ending: Ending) -> Problem:
    """Look for an exit code other than 0 and a word about it."""
    if ending.reason == "over":
        return NOT_REACHED
    if ending.reason not in {"exit", "signal"}:
        return f"the command didn't end by itself ({ending.reason})"
    if ending.clean:
        return "the command ended with exit code 0"
    return None if ending.stderr.strip() else "nothing on standard error"


CHECK_IDS = tuple(
    sorted(
        [
            "submission.files",
            "rerun.summarize",
            *(f"{group}.{name}" for group in RUNS for name in ("run", *RUN_CHECKS)),
            *(f"{group}.offline" for group in RUNS if group not in LIVE),
            *(f"{group}.{name}" for group in LIVE for name in WIRE_CHECKS),
            *(f"summarize.{name}" for name in ("given", "missing")),
            *(f"errors.{name}" for name in FAILURES),
        ]
    )
)
